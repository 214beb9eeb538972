// What the components of the page share: theme, colours, addresses, pictures to save.
// It is plain JavaScript of the browser's own, and fetches nothing.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("chainrule-theme"); } catch { return null; } };
  const theme = () => stored() || (dark.matches ? "dark" : "light");
  const redraw = () => dispatchEvent(new Event("chainrule-theme"));
  const paint = () => { root.dataset.theme = theme(); redraw(); };
  paint();
  dark.addEventListener("change", paint);
  // A tab behind another one is sent nothing until it is before it again.
  const tellHidden = () => globalThis.emitEvent?.("hidden", document.hidden);
  document.addEventListener("visibilitychange", tellHidden);

  // Cividis: even steps of lightness, and the same to colour-blind eyes.
  const CIVIDIS = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
    [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];
  const BLUE = [33, 102, 172], ORANGE = [230, 97, 1];
  const mix = (a, b, t) => a.map((v, i) => Math.round(v + (b[i] - v) * t));
  const variable = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const triple = (name) => variable(name).split(/[ ,]+/).map(Number);

  // Returns a function from a value to [r, g, b]. "diverging": blue below 0, orange above.
  function scale(kind, low, high) {
    if (kind === "diverging") {
      const limit = Math.max(Math.abs(low), Math.abs(high)) || 1;
      const middle = triple("--heat-middle");
      return (v) => {
        if (!Number.isFinite(v)) return triple("--heat-broken");
        const t = Math.max(-1, Math.min(1, v / limit));
        return mix(middle, t < 0 ? BLUE : ORANGE, Math.abs(t) ** 0.75);
      };
    }
    const span = high - low || 1;
    if (kind === "ink") {
      const paper = triple("--heat-paper"), ink = triple("--heat-ink");
      return (v) => Number.isFinite(v) ? mix(paper, ink, Math.max(0, Math.min(1, (v - low) / span)))
        : triple("--heat-broken");
    }
    return (v) => {
      if (!Number.isFinite(v)) return triple("--heat-broken");
      const t = Math.max(0, Math.min(1, (v - low) / span)) * (CIVIDIS.length - 1);
      const i = Math.min(Math.floor(t), CIVIDIS.length - 2);
      return mix(CIVIDIS[i], CIVIDIS[i + 1], t - i);
    };
  }

  function floats(base64) {
    const text = atob(base64), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new Float32Array(bytes.buffer);
  }

  // A number as a person reads it: four figures or a whole number, and a power of ten only where there must be one.
  function number(v) {
    if (!Number.isFinite(v)) return Number.isNaN(v) ? "NaN" : v > 0 ? "∞" : "−∞";
    if (v === 0) return "0";
    const size = Math.abs(v);
    const text = size >= 1e7 || size < 1e-4 ? v.toExponential(2)
      : size >= 1e4 ? Math.round(v).toLocaleString("en") : String(Number(v.toPrecision(4)));
    return text.replaceAll("-", "−");
  }

  function download(name, content, type) {
    const url = URL.createObjectURL(new Blob([content], { type }));
    const a = Object.assign(document.createElement("a"), { href: url, download: name });
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  // A copy of a drawing with its styles written out, so that it looks alike outside the page.
  function styled(svg) {
    const copy = svg.cloneNode(true);
    const live = [svg, ...svg.querySelectorAll("*")], dead = [copy, ...copy.querySelectorAll("*")];
    const names = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap",
      "stroke-linejoin", "font-family", "font-size", "font-weight", "text-anchor", "opacity", "vector-effect"];
    live.forEach((element, i) => {
      const style = getComputedStyle(element);
      dead[i].setAttribute("style", names.map((n) => `${n}:${style.getPropertyValue(n)}`).join(";"));
    });
    return copy;
  }

  function standalone(svg) {
    const copy = styled(svg), { width, height } = svg.getBoundingClientRect();
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    paper.setAttribute("width", "100%");
    paper.setAttribute("height", "100%");
    paper.setAttribute("fill", variable("--paper"));
    copy.prepend(paper);
    return new XMLSerializer().serializeToString(copy);
  }

  // A drawing as a text: saved as it is, or drawn twice as large as on the page, as far as a canvas goes.
  function saveText(text, width, height, name, kind) {
    if (kind === "svg") return download(`${name}.svg`, text, "image/svg+xml");
    const times = Math.min(2, 16000 / Math.max(width, height)), image = new Image();
    image.onload = () => {
      const canvas = Object.assign(document.createElement("canvas"),
        { width: Math.ceil(times * width), height: Math.ceil(times * height) });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => download(`${name}.png`, blob, "image/png"));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  function saveSvg(svg, name, kind) {
    const { width, height } = svg.getBoundingClientRect();
    saveText(standalone(svg), width, height, name, kind);
  }

  function saveCanvas(canvas, name, kind, size = 512) {
    const times = Math.max(1, Math.round(size / Math.max(canvas.width, canvas.height)));
    const large = Object.assign(document.createElement("canvas"),
      { width: times * canvas.width, height: times * canvas.height });
    const context = large.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, 0, 0, large.width, large.height);
    if (kind === "png") return large.toBlob((blob) => download(`${name}.png`, blob, "image/png"));
    const { width, height } = large;
    download(`${name}.svg`, `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">`
      + `<image width="${width}" height="${height}" href="${large.toDataURL()}"/></svg>`, "image/svg+xml");
  }

  globalThis.chainruleStudio = {
    scale, floats, number, saveSvg, saveCanvas, saveText, styled, variable, tellHidden,
    theme(next) {
      try { localStorage.setItem("chainrule-theme", next || (theme() === "dark" ? "light" : "dark")); } catch {}
      paint();
    },
    address(path, how) {
      const here = location.pathname === "/" ? "/train" : location.pathname;
      if (path.split("?")[0] !== here) return;  // somebody has gone to another part meanwhile
      if (location.pathname + location.search !== path) history[`${how}State`]({ page: path }, "", path);
    },
    // Brings a stop of the walk into view, and the focus along if it is on another stop.
    reveal(stop, tries = 30) {
      const box = document.querySelector(".walk");
      const link = box?.querySelector(`[data-stop="${CSS.escape(stop)}"]`);
      if (!link) return tries && requestAnimationFrame(() => this.reveal(stop, tries - 1));
      const a = link.getBoundingClientRect(), b = box.getBoundingClientRect();
      if (a.left < b.left + 40 || a.right > b.right - 40)
        box.scrollLeft += a.left + a.width / 2 - b.left - b.width / 2;
      if (document.activeElement?.closest?.(".walk-go")) link.focus({ preventScroll: true });
    },
    // Brings a question that a file has raised into view, and the focus to it, from the file alone.
    ask(id, tries = 30) {
      const asks = document.getElementById(id), first = asks?.querySelector("select");
      if (!first?.offsetParent) return tries && requestAnimationFrame(() => this.ask(id, tries - 1));
      asks.scrollIntoView({ block: "nearest" });
      if (document.activeElement === document.body || document.activeElement.type === "file") first.focus();
    },
    async upload(input, say) {
      const file = input.files[0];
      if (!file) return;
      if (file.size > 64 * 2 ** 20) return say({ words: "At most 64 MB can be sent." });
      try {
        const answer = await fetch(`/upload?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
        say(answer.headers.get("content-type")?.includes("json") ? await answer.json()
          : { words: await answer.text() });
      } catch { say({ words: "The file could not be sent." }); }
      input.value = "";
    },
  };

  // NiceGUI's notice, in our words: it stands there until the server answers, then the page reloads.
  addEventListener("DOMContentLoaded", () => {
    const words = ["The studio does not answer.", "Was it stopped? Start it again at the same address: this page comes back by itself."];
    document.querySelectorAll("#popup span").forEach((span, i) => { if (words[i]) span.textContent = words[i]; });
    document.getElementById("popup")?.setAttribute("role", "alert");
  });

  // Keys for the whole page: as on the buttons. Not while something is typed.
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest?.("input, select, textarea, pre, [data-keys]")) return;
    if (event.key === "Enter" || (event.key === " " && event.target.closest?.("button"))) return;
    const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
    const button = document.querySelector(`[aria-keyshortcuts="${CSS.escape(key)}"]`);
    if (button) { event.preventDefault(); button.click(); }
  });
})();
