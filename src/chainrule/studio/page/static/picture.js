// A part of the page as one drawing to save: boxes, words, little pictures, all as SVG's own shapes.
// What scrolls is drawn whole, and what is there for the pointer alone is left out.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT_OUT = ".heat-save, .sr-only, script, style";
  const PAD = 12; // pixels round the whole
  const make = (name, attributes, words) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
    if (words) made.textContent = words;
    return made;
  };

  // Colours of every kind that browsers know, as every program knows them: [rgb, opacity].
  const dot = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  function plain(colour) {
    if (!known.has(colour)) {
      dot.clearRect(0, 0, 1, 1);
      dot.fillStyle = colour;
      dot.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = dot.getImageData(0, 0, 1, 1).data;
      known.set(colour, [`rgb(${r},${g},${b})`, a / 255]);
    }
    return known.get(colour);
  }

  const round = (v) => Number(v.toFixed(2));
  const pixels = (words) => parseFloat(words) || 0;

  function box(to, style, { left, top, width, height }) {
    const radius = Math.min(pixels(style.borderTopLeftRadius), width / 2, height / 2) || undefined;
    const [fill, opacity] = plain(style.backgroundColor);
    const place = { x: round(left), y: round(top), width: round(width), height: round(height) };
    if (opacity && width && height) to.append(make("rect", { ...place, rx: radius, fill, "fill-opacity": opacity < 1 ? opacity : undefined }));
    // An outline that is made as a shadow without blur.
    const ring = style.boxShadow.match(/^(.*\)) 0px 0px 0px ([\d.]+)px$/);
    if (ring) outline(to, place, radius, plain(ring[1])[0], pixels(ring[2]), -pixels(ring[2]) / 2);
    const sides = ["Top", "Right", "Bottom", "Left"].map((side) => ({
      wide: style[`border${side}Style`] === "none" ? 0 : pixels(style[`border${side}Width`]),
      colour: plain(style[`border${side}Color`]), look: style[`border${side}Style`],
    }));
    const alike = sides.every((s) => s.wide === sides[0].wide && s.colour[0] === sides[0].colour[0]);
    if (alike && sides[0].wide && sides[0].colour[1]) outline(to, place, radius, sides[0].colour[0], sides[0].wide, sides[0].wide / 2);
    else if (!alike) {
      const right = left + width, bottom = top + height;
      const ends = [[left, top, right, top], [right, top, right, bottom], [left, bottom, right, bottom], [left, top, left, bottom]];
      sides.forEach(({ wide, colour, look }, i) => {
        if (!wide || !colour[1]) return;
        const inward = [[0, wide / 2], [-wide / 2, 0], [0, -wide / 2], [wide / 2, 0]][i];
        const [x1, y1, x2, y2] = ends[i].map((v, k) => round(v + inward[k % 2]));
        to.append(make("line", { x1, y1, x2, y2, stroke: colour[0], "stroke-width": wide,
          "stroke-dasharray": { dashed: "5 3", dotted: "2 2" }[look] }));
      });
    }
  }

  function outline(to, { x, y, width, height }, radius, stroke, wide, inward) {
    to.append(make("rect", { x: round(x + inward), y: round(y + inward), width: round(Math.max(0, width - 2 * inward)),
      height: round(Math.max(0, height - 2 * inward)), rx: radius, fill: "none", stroke, "stroke-width": wide }));
  }

  // What stands before and after an element by its style alone: a line, or a sign such as an arrow.
  function pseudo(to, element, which, origin) {
    const style = getComputedStyle(element, which);
    if (style.content === "none" || style.content === "normal" || style.display === "none") return;
    const around = element.getBoundingClientRect(), own = getComputedStyle(element);
    const absolute = style.position === "absolute";
    const left = around.left - origin.left + (absolute ? pixels(own.borderLeftWidth) + pixels(style.left) : 0);
    const height = pixels(style.height);
    const top = around.top - origin.top + (absolute ? pixels(own.borderTopWidth) + pixels(style.top) : (around.height - height) / 2);
    const words = style.content.match(/^"(.+)"$/)?.[1];
    if (!words) return box(to, style, { left, top, width: pixels(style.width), height });
    const size = pixels(style.fontSize);
    if (absolute) to.append(make("text", { x: round(left), y: round(top + size), ...font(style) }, words));
  }

  const font = (style) => ({
    fill: plain(style.color)[0], "font-family": style.fontFamily, "font-size": style.fontSize,
    "font-weight": style.fontWeight === "400" ? undefined : style.fontWeight,
  });

  // Words as they are broken into lines; each line as wide as on the page, whatever fonts are there.
  function words(to, node, origin) {
    const parent = node.parentElement, style = getComputedStyle(parent), range = document.createRange();
    const edge = style.overflowX === "visible" ? Infinity : parent.getBoundingClientRect().right;
    const lines = [];
    for (let i = 0; i < node.length; i++) {
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const [place] = range.getClientRects();
      if (!place || !place.height) continue;
      let line = lines[lines.length - 1];
      if (!line || Math.abs(line.top - place.top) > 2) lines.push(line = { top: place.top, height: place.height, left: place.left, right: place.left, text: "", cut: false });
      if (place.right > edge + 1) { line.cut = true; continue; }
      line.text += node.data[i];
      if (node.data[i].trim()) line.right = place.right;
    }
    dot.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = dot.measureText("x");
    for (const line of lines) {
      let text = line.text.replace(/\s+/g, " ").trimEnd() + (line.cut ? "…" : "");
      if (!text.trim()) continue;
      if (style.textTransform === "uppercase") text = text.toUpperCase();
      to.append(make("text", {
        x: round(line.left - origin.left), y: round(line.top - origin.top + (line.height - up - down) / 2 + up), ...font(style),
        ...(line.cut ? {} : { textLength: round(line.right - line.left), lengthAdjust: "spacingAndGlyphs" }),
      }, text));
    }
  }

  function draw(to, node, origin) {
    if (node.nodeType === Node.TEXT_NODE) return node.data.trim() ? words(to, node, origin) : undefined;
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches(LEFT_OUT)) return;
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden") return;
    const place = node.getBoundingClientRect();
    const at = { left: place.left - origin.left, top: place.top - origin.top, width: place.width, height: place.height };
    if (style.display !== "contents") box(to, style, at);
    pseudo(to, node, "::before", origin);
    const seat = { x: round(at.left), y: round(at.top), width: round(at.width), height: round(at.height) };
    if (node instanceof HTMLCanvasElement) {
      if (node.width && node.height) to.append(make("image", { ...seat, href: node.toDataURL(), preserveAspectRatio: "none",
        style: style.imageRendering === "pixelated" ? "image-rendering:pixelated" : undefined }));
    } else if (node instanceof SVGSVGElement) {
      const copy = chainruleStudio.styled(node);
      for (const [key, value] of Object.entries(seat)) copy.setAttribute(key, value);
      to.append(copy);
    } else for (const child of node.childNodes) draw(to, child, origin);
    pseudo(to, node, "::after", origin);
  }

  chainruleStudio.saveBlock = (element, name, kind) => {
    const place = element.getBoundingClientRect();
    // From the corner of what scrolls, not of what is seen of it.
    const origin = { left: place.left - element.scrollLeft - PAD, top: place.top - element.scrollTop - PAD };
    const width = Math.ceil(Math.max(place.width, element.scrollWidth)) + 2 * PAD;
    const height = Math.ceil(Math.max(place.height, element.scrollHeight)) + 2 * PAD;
    const svg = make("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` });
    svg.append(make("rect", { width, height, fill: plain(chainruleStudio.variable("--paper"))[0] }));
    const inside = make("g", {});
    svg.append(inside);
    for (const child of element.childNodes) draw(inside, child, origin);
    chainruleStudio.saveText(new XMLSerializer().serializeToString(svg), width, height, name, kind);
  };

  // A picture that came as a file: the file itself, or within a drawing.
  chainruleStudio.saveImage = (image, name, kind) => {
    if (kind === "png") return Object.assign(document.createElement("a"), { href: image.src, download: `${name}.png` }).click();
    const width = image.naturalWidth, height = image.naturalHeight;
    const svg = make("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` });
    svg.append(make("image", { width, height, href: image.src }));
    chainruleStudio.saveText(new XMLSerializer().serializeToString(svg), width, height, name, kind);
  };
})();
