// A small picture of an array: what a stop of the walk gives, at a glance.
export default {
  template: `<canvas ref="canvas" class="thumb" :width="columns" :height="rows" :style="size" aria-hidden="true"></canvas>`,
  props: { values: String, rows: Number, columns: Number, scale: String },
  computed: {
    size() {
      const cell = Math.min(64 / this.columns, 38 / this.rows, 14);
      return { width: Math.max(2, this.columns * cell) + "px", height: Math.max(2, this.rows * cell) + "px" };
    },
  },
  watch: { values: "later", rows: "later", columns: "later" },
  mounted() { addEventListener("chainrule-theme", this.draw); this.draw(); },
  unmounted() { removeEventListener("chainrule-theme", this.draw); },
  methods: {
    later() { this.$nextTick(this.draw); },
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const context = canvas.getContext("2d"), image = context.createImageData(this.columns, this.rows);
      // A byte a cell: 0 to 254 over the range, 255 for no number, after it whether that is broken.
      const text = atob(this.values), ink = this.scale === "ink";
      const colour = chainruleStudio.scale(this.scale, ink ? 0 : -127, ink ? 254 : 127);
      for (let i = 0; i < this.rows * this.columns; i++) {
        const code = text.charCodeAt(i);
        if (code === 255) continue;
        const [r, g, b] = colour(code === 254 ? NaN : ink ? code : code - 127);
        image.data.set([r, g, b, 255], 4 * i);
      }
      context.putImageData(image, 0, 0);
    },
  },
};
