// A matrix as a heat map: values under the pointer or the cursor keys, one can be picked.
export default {
  template: `
    <figure class="heat">
      <figcaption v-if="caption" class="heat-caption">{{ caption }}</figcaption>
      <div class="heat-box" ref="box" :style="{ width: width + 'px', height: height + 'px' }"
           tabindex="0" data-keys role="img" :aria-label="words" @keydown="key"
           @pointermove="move" @pointerleave="at = null" @click="click">
        <canvas ref="canvas" :width="columns" :height="rows"></canvas>
        <div v-if="at" class="heat-cursor" :style="cursor"></div>
        <div v-if="mark" class="heat-cursor heat-mark" :style="place(mark)"></div>
      </div>
      <div class="heat-foot">
        <span class="heat-read" aria-live="polite">{{ read }}</span>
        <span v-if="save" class="heat-save">
          <button type="button" @click="store('png')" :aria-label="'Save ' + label + ' as PNG'">PNG</button>
          <button type="button" @click="store('svg')" :aria-label="'Save ' + label + ' as SVG'">SVG</button>
        </span>
      </div>
    </figure>`,
  props: {
    values: String, rows: Number, columns: Number, skip: Array, shape: String,
    label: String, caption: String, scale: String, limit: Number, cell: Number, save: Boolean, mark: Array,
    places: String, full: Array,
  },
  data: () => ({ at: null }),
  computed: {
    floats() { return chainruleStudio.floats(this.values); },
    width() { return Math.max(1, Math.round(this.columns * this.size)); },
    height() { return Math.max(1, Math.round(this.rows * this.size)); },
    size() { return this.cell || Math.max(1, Math.min(16, 224 / Math.max(this.rows, this.columns))); },
    range() {
      let low = Infinity, high = -Infinity;
      for (const v of this.floats) if (Number.isFinite(v)) { if (v < low) low = v; if (v > high) high = v; }
      return low <= high ? [low, high] : [0, 0];
    },
    seats() { return this.places ? chainruleStudio.floats(this.places) : null; },
    words() { return `${this.label}, shape ${this.shape}, ${this.read}`; },
    read() {
      const n = chainruleStudio.number;
      if (!this.at) {
        const [low, high] = this.range;
        return low === high ? n(low) : `${n(low)} to ${n(high)}`;
      }
      const [r, c] = this.at, [down, across] = this.skip;
      if (this.seats) {
        const i = r * this.columns + c;
        return this.seats[i] < 0 ? " " : `[${this.index(this.seats[i]).join(", ")}] = ${n(this.floats[i])}`;
      }
      return `[${r * down}, ${c * across}] = ${n(this.floats[r * this.columns + c])}`;
    },
    cursor() { return this.place(this.at); },
  },
  watch: { values: "later", rows: "later", columns: "later", scale: "draw", limit: "draw" },
  mounted() { addEventListener("chainrule-theme", this.draw); this.draw(); },
  unmounted() { removeEventListener("chainrule-theme", this.draw); },
  methods: {
    index(flat) {
      const found = [];
      for (const n of [...this.full].reverse()) { found.unshift(flat % n); flat = Math.floor(flat / n); }
      return found;
    },
    later() { this.$nextTick(this.draw); },
    place([r, c]) {
      const s = this.size;
      return { left: c * s + "px", top: r * s + "px", width: s + "px", height: s + "px" };
    },
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const context = canvas.getContext("2d"), image = context.createImageData(this.columns, this.rows);
      const limit = this.limit || null;
      const [low, high] = limit ? [this.scale === "diverging" ? -limit : 0, limit] : this.range;
      const colour = chainruleStudio.scale(this.scale, low, high), values = this.floats;
      for (let i = 0; i < values.length; i++) {
        const [r, g, b] = colour(values[i]);
        image.data.set([r, g, b, this.seats && this.seats[i] < 0 ? 0 : 255], 4 * i);
      }
      context.putImageData(image, 0, 0);
    },
    move(event) {
      const box = this.$refs.box.getBoundingClientRect();
      const r = Math.floor((event.clientY - box.top) / this.size), c = Math.floor((event.clientX - box.left) / this.size);
      this.at = r >= 0 && c >= 0 && r < this.rows && c < this.columns ? [r, c] : null;
    },
    click(event) { this.move(event); this.pick(); },
    pick() {
      if (!this.at) return;
      const [r, c] = this.at;
      this.$emit("pick", { row: r * this.skip[0], column: c * this.skip[1], value: this.floats[r * this.columns + c] });
    },
    key(event) {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (step) {
        const [r, c] = this.at || [0, 0];
        this.at = [Math.max(0, Math.min(this.rows - 1, r + step[0])), Math.max(0, Math.min(this.columns - 1, c + step[1]))];
      } else if (event.key === "Enter" || event.key === " ") this.pick();
      else if (event.key === "Escape") this.at = null;
      else return;
      event.preventDefault();
    },
    store(kind) { chainruleStudio.saveCanvas(this.$refs.canvas, this.label.replace(/[^\w]+/g, "-"), kind); },
  },
};
