// Little pictures side by side on one canvas: channels, kernels, templates, or one square a unit.
export default {
  template: `
    <figure class="sheet">
      <figcaption v-if="caption" class="heat-caption">{{ caption }}</figcaption>
      <div class="heat-box" ref="box" :style="{ width: width + 'px' }" tabindex="0" data-keys role="img"
           :aria-label="words" @keydown="key" @pointermove="move" @pointerleave="at = null">
        <canvas ref="canvas" :width="columns" :height="rows" :style="{ aspectRatio: columns + ' / ' + rows }"></canvas>
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
    values: String, count: Number, high: Number, wide: Number, skip: Number, form: String, unit: String,
    shape: String, label: String, caption: String, scale: String, side: Number, save: Boolean,
  },
  data: () => ({ at: null }),
  computed: {
    floats() { return chainruleStudio.floats(this.values); },
    // Pictures in a row, so that the whole is about as high as wide; the gap is one of their pixels.
    across() { return Math.max(1, Math.min(this.count, Math.ceil(Math.sqrt(this.count * this.high / this.wide)))); },
    gap() { return this.count > 1 && this.form !== "vector" ? 1 : 0; },
    columns() { return this.across * (this.wide + this.gap) - this.gap || 1; },
    rows() { return Math.ceil(this.count / this.across) * (this.high + this.gap) - this.gap || 1; },
    width() { return Math.round(Math.min(this.side, this.side * this.columns / this.rows, 16 * this.columns)) || 1; },
    range() {
      let low = Infinity, high = -Infinity;
      for (const v of this.floats) if (Number.isFinite(v)) { if (v < low) low = v; if (v > high) high = v; }
      return low <= high ? [low, high] : [NaN, NaN];
    },
    words() { return `${this.label}, shape ${this.shape}, ${this.read}`; },
    read() {
      const n = chainruleStudio.number;
      if (!this.at || this.at[0] >= this.count) {
        const [low, high] = this.range;
        return low === high ? n(low) : Number.isNaN(low) ? "no finite number" : `${n(low)} to ${n(high)}`;
      }
      const [i, r, c] = this.at, v = n(this.floats[(i * this.high + r) * this.wide + c]);
      if (this.form === "vector") return `[${i}] = ${v}`;
      const place = `[${r * this.skip}, ${c * this.skip}]`;
      return this.form === "matrix" ? `${place} = ${v}` : `${this.unit} ${i} ${place} = ${v}`;
    },
  },
  watch: { values: "later", count: "later", scale: "later" },
  mounted() { addEventListener("chainrule-theme", this.draw); this.draw(); },
  unmounted() { removeEventListener("chainrule-theme", this.draw); },
  methods: {
    later() { this.$nextTick(this.draw); },
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const context = canvas.getContext("2d"), image = context.createImageData(this.columns, this.rows);
      const colour = chainruleStudio.scale(this.scale, ...this.range.map((v) => Number.isNaN(v) ? 0 : v));
      const values = this.floats, { high, wide, across, gap, columns } = this;
      for (let i = 0, k = 0; i < this.count; i++) {
        const top = Math.floor(i / across) * (high + gap), left = i % across * (wide + gap);
        for (let r = 0; r < high; r++) for (let c = 0; c < wide; c++, k++) {
          const [red, green, blue] = colour(values[k]);
          image.data.set([red, green, blue, 255], 4 * ((top + r) * columns + left + c));
        }
      }
      context.putImageData(image, 0, 0);
    },
    move(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      const y = Math.floor((event.clientY - box.top) / box.height * this.rows);
      const x = Math.floor((event.clientX - box.left) / box.width * this.columns);
      const down = Math.floor(y / (this.high + this.gap)), over = Math.floor(x / (this.wide + this.gap));
      const r = y - down * (this.high + this.gap), c = x - over * (this.wide + this.gap), i = down * this.across + over;
      this.at = y >= 0 && x >= 0 && over < this.across && i < this.count && r < this.high && c < this.wide ? [i, r, c] : null;
    },
    // Left and right, up and down go through a picture, and on into the next one.
    key(event) {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (step) {
        if (!this.at || this.at[0] >= this.count) this.at = [0, 0, 0];
        else {
          let [i, r, c] = this.at;
          r += step[0]; c += step[1];
          if (c < 0) { i -= 1; c = this.wide - 1; } else if (c >= this.wide) { i += 1; c = 0; }
          if (r < 0) { i -= this.across; r = this.high - 1; } else if (r >= this.high) { i += this.across; r = 0; }
          if (i >= 0 && i < this.count) this.at = [i, r, c];
        }
      } else if (event.key === "Escape") this.at = null;
      else return;
      event.preventDefault();
    },
    store(kind) { chainruleStudio.saveCanvas(this.$refs.canvas, this.label.replace(/[^\w]+/g, "-"), kind); },
  },
};
