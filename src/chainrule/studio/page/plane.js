// Points in the plane, on what the net says of every place.
export default {
  template: `
    <figure class="plane">
      <div class="plane-box" role="img" :aria-label="label" ref="box">
        <canvas ref="ground" class="plane-ground"></canvas>
        <canvas ref="dots" class="plane-dots"></canvas>
      </div>
      <div class="heat-foot"><span class="heat-read">{{ caption }}</span>
        <span class="heat-save">
          <button type="button" @click="store('png')" :aria-label="'Save ' + label + ' as PNG'">PNG</button>
          <button type="button" @click="store('svg')" :aria-label="'Save ' + label + ' as SVG'">SVG</button></span></div>
    </figure>`,
  props: { ground: String, size: Number, classes: Number, edge: Number, points: String, label: String, caption: String },
  watch: { ground: "drawGround", points: "draw", classes: "draw" },
  mounted() {
    addEventListener("chainrule-theme", this.draw);
    this.observer = new ResizeObserver(() => this.drawDots());
    this.observer.observe(this.$refs.box);
    this.draw();
  },
  unmounted() { removeEventListener("chainrule-theme", this.draw); this.observer.disconnect(); },
  methods: {
    // Okabe and Ito's colours, blue and orange first: told apart by colour-blind eyes too.
    colours() { return [[0, 114, 178], [230, 97, 1], [0, 158, 115], [204, 121, 167], [240, 228, 66], [86, 180, 233], [213, 94, 0], [120, 120, 120]]; },
    draw() { this.drawGround(); this.drawDots(); },
    drawGround() {
      const canvas = this.$refs.ground, n = this.size;
      if (!canvas || !this.ground) { if (canvas) canvas.width = canvas.height = 1; return; }
      const values = chainruleStudio.floats(this.ground), k = this.classes, colours = this.colours();
      const paper = chainruleStudio.variable("--heat-middle").split(" ").map(Number);
      canvas.width = canvas.height = n;
      const context = canvas.getContext("2d"), image = context.createImageData(n, n);
      for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) {
        const from = ((n - 1 - r) * n + c) * k, to = 4 * (r * n + c);
        let best = 0;
        for (let i = 0; i < k; i++) best = Math.max(best, values[from + i]);
        // As sure as the net is, so strong is the colour.
        const sure = (best - 1 / k) / (1 - 1 / k) || 0;
        for (let rgb = 0; rgb < 3; rgb++) {
          let mixed = 0;
          for (let i = 0; i < k; i++) mixed += values[from + i] * colours[i % colours.length][rgb];
          image.data[to + rgb] = paper[rgb] + (mixed - paper[rgb]) * (0.08 + 0.42 * sure);
        }
        image.data[to + 3] = 255;
      }
      context.putImageData(image, 0, 0);
    },
    drawDots() {
      const canvas = this.$refs.dots, box = this.$refs.box;
      if (!canvas || !box.clientWidth) return;
      const times = devicePixelRatio || 1, side = box.clientWidth;
      canvas.width = canvas.height = side * times;
      const context = canvas.getContext("2d"), colours = this.colours();
      context.scale(times, times);
      const values = chainruleStudio.floats(this.points);
      for (let i = 0; i < values.length; i += 4) {
        const [x, y, label, held] = values.subarray(i, i + 4), colour = `rgb(${colours[label % colours.length]})`;
        context.beginPath();
        context.arc((x / this.edge + 1) / 2 * side, (1 - (y / this.edge + 1) / 2) * side, 3, 0, 7);
        context.lineWidth = held ? 1.5 : 1;
        context.fillStyle = held ? chainruleStudio.variable("--paper") : colour;
        context.strokeStyle = held ? colour : chainruleStudio.variable("--paper");
        context.fill();
        context.stroke();
      }
    },
    store(kind) {
      const { ground, dots } = this.$refs, both = Object.assign(document.createElement("canvas"), { width: dots.width, height: dots.height });
      const context = both.getContext("2d");
      context.fillStyle = chainruleStudio.variable("--paper");
      context.fillRect(0, 0, both.width, both.height);
      context.drawImage(ground, 0, 0, both.width, both.height);
      context.drawImage(dots, 0, 0);
      chainruleStudio.saveCanvas(both, this.label.replace(/[^\w]+/g, "-"), kind);
    },
  },
};
