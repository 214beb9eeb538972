// A sheet to draw a digit on, by mouse, pen or finger; what the net looks at lies over it.
const SIDE = 224, INK = 112, NEAR = 3, LONGEST = 2000;

// Strokes as words for an address: two letters or figures a coordinate.
const word = (v) => Math.max(0, Math.min(SIDE, Math.round(v))).toString(36).padStart(2, "0");
const written = (strokes) => strokes.map((line) => line.map((p) => p.map(word).join("")).join("")).join("_");
const read = (text) => text ? text.split("_").map((line) => line.match(/.{4}/g)
  .map((p) => [parseInt(p.slice(0, 2), 36), parseInt(p.slice(2), 36)])) : [];

export default {
  template: `
    <div class="draw">
      <div class="draw-sheet">
        <canvas ref="canvas" class="draw-ink" width="${SIDE}" height="${SIDE}" role="img"
                :aria-label="'Drawing of ' + strokes.length + ' strokes. By keyboard, take a sample instead.'"
                @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="up"></canvas>
        <canvas ref="over" class="draw-over" width="${SIDE}" height="${SIDE}"></canvas>
        <p v-if="!strokes.length && !line" class="draw-hint">draw here</p>
      </div>
      <div class="buttons draw-tools">
        <button type="button" class="button" :disabled="!strokes.length" @click="undo">Undo</button>
        <button type="button" class="button" :disabled="!strokes.length" @click="clear">Clear</button>
        <button type="button" class="button" :disabled="!strokes.length" @click="save('png')"
                aria-label="Save the drawing as PNG">PNG</button>
        <button type="button" class="button" :disabled="!strokes.length" @click="save('svg')"
                aria-label="Save the drawing as SVG">SVG</button>
      </div>
    </div>`,
  props: { map: String, rows: Number, columns: Number, place: Array, blank: Number, drawing: String },
  emits: ["drawn"],
  data: () => ({ strokes: [], line: null, due: 0 }),
  watch: { map: "later", blank() { this.strokes = []; this.line = null; this.paint(); } },
  mounted() {
    addEventListener("chainrule-theme", this.paint);
    this.strokes = read(this.drawing);
    this.paint();
    if (this.strokes.length) this.send();
  },
  unmounted() { removeEventListener("chainrule-theme", this.paint); clearTimeout(this.due); },
  methods: {
    later() { this.$nextTick(this.overlay); },
    point(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      // Whole pixels, as the address has them: a link shows the same drawing.
      const across = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
      return [across, down].map((v) => Math.max(0, Math.min(SIDE, Math.round(v * SIDE))));
    },
    down(event) {
      if (event.button) return;
      event.preventDefault();
      this.$refs.canvas.setPointerCapture(event.pointerId);
      this.line = [this.point(event)];
      this.paint();
    },
    move(event) {
      if (!this.line) return;
      for (const e of [...event.getCoalescedEvents?.() ?? [], event]) {
        const p = this.point(e), last = this.line[this.line.length - 1];
        if (Math.hypot(p[0] - last[0], p[1] - last[1]) >= NEAR) this.line.push(p);
      }
      this.paint();
      if (!this.due) this.due = setTimeout(this.send, 100);
    },
    up() {
      if (!this.line) return;
      this.strokes.push(this.line);
      // What an address cannot hold is not drawn either: every second point goes, so a link shows just this.
      while (written(this.strokes).length > LONGEST && this.strokes.some((line) => line.length > 2))
        this.strokes = this.strokes.map((line) => line.filter((_, i) => i % 2 === 0 || i === line.length - 1));
      this.line = null;
      this.paint();
      this.send();
    },
    undo() { this.strokes.pop(); this.paint(); this.send(); },
    clear() { this.strokes = []; this.paint(); this.send(); },
    stroke(context, colour) {
      Object.assign(context, { strokeStyle: colour, lineWidth: 17, lineCap: "round", lineJoin: "round" });
      for (const line of [...this.strokes, ...(this.line ? [this.line] : [])]) {
        context.beginPath();
        context.moveTo(...line[0]);
        for (const p of line.length > 1 ? line.slice(1) : [[line[0][0] + 0.1, line[0][1]]]) context.lineTo(...p);
        context.stroke();
      }
    },
    paint() {
      const context = this.$refs.canvas?.getContext("2d");
      if (!context) return;
      context.clearRect(0, 0, SIDE, SIDE);
      this.stroke(context, chainruleStudio.variable("--ink"));
      this.overlay();
    },
    overlay() {
      const context = this.$refs.over?.getContext("2d");
      if (!context) return;
      context.clearRect(0, 0, SIDE, SIDE);
      if (!this.map || !this.place?.length || !(this.strokes.length || this.line)) return;
      const values = chainruleStudio.floats(this.map);
      const limit = Math.max(...values.map(Math.abs)) || 1;
      const colour = chainruleStudio.scale("diverging", -limit, limit);
      const [top, left, height, width] = this.place.map((v) => v * SIDE / INK);
      const h = height / this.rows, w = width / this.columns;
      for (let i = 0; i < values.length; i++) {
        const [r, g, b] = colour(values[i]), strength = 0.7 * Math.abs(values[i]) / limit;
        context.fillStyle = `rgba(${r}, ${g}, ${b}, ${strength})`;
        context.fillRect(left + (i % this.columns) * w, top + Math.floor(i / this.columns) * h, w, h);
      }
    },
    send() {
      clearTimeout(this.due);
      this.due = 0;
      const small = Object.assign(document.createElement("canvas"), { width: INK, height: INK });
      const context = small.getContext("2d");
      context.scale(INK / SIDE, INK / SIDE);
      this.stroke(context, "#000");
      const pixels = context.getImageData(0, 0, INK, INK).data;
      let text = "";
      for (let i = 3; i < pixels.length; i += 4) text += String.fromCharCode(pixels[i]);
      const words = this.line ? null : written(this.strokes);
      this.$emit("drawn", { ink: btoa(text), drawing: words && words.length > LONGEST ? "" : words });
    },
    // The strokes as strokes; what lies over them as a picture.
    asSvg() {
      const style = `fill="none" stroke="${chainruleStudio.variable("--ink")}" stroke-width="17" stroke-linecap="round" stroke-linejoin="round"`;
      const paths = this.strokes.map(([first, ...rest]) => `<path ${style} d="M${first}L${(rest.length ? rest : [[first[0] + 0.1, first[1]]]).join("L")}"/>`);
      return `<svg xmlns="http://www.w3.org/2000/svg" width="${SIDE}" height="${SIDE}" viewBox="0 0 ${SIDE} ${SIDE}">`
        + `<rect width="${SIDE}" height="${SIDE}" fill="${chainruleStudio.variable("--paper")}"/>${paths.join("")}`
        + `<image width="${SIDE}" height="${SIDE}" href="${this.$refs.over.toDataURL()}"/></svg>`;
    },
    save(kind) {
      if (kind === "svg") return chainruleStudio.saveText(this.asSvg(), SIDE, SIDE, "drawing", kind);
      const sheet = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
      const context = sheet.getContext("2d");
      context.fillStyle = chainruleStudio.variable("--paper");
      context.fillRect(0, 0, SIDE, SIDE);
      context.drawImage(this.$refs.canvas, 0, 0);
      context.drawImage(this.$refs.over, 0, 0);
      chainruleStudio.saveCanvas(sheet, "drawing", "png");
    },
  },
};
