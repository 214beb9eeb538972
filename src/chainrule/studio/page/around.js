// The loss around a net: squares as bright as its logarithm, and lines of equal loss over them.
const SIDE = 320, LEFT = 50, TOP = 8, BOTTOM = 40, LINES = 9;

export default {
  template: `
    <figure class="around">
      <svg ref="svg" :viewBox="'0 0 ' + (left + side + 8) + ' ' + (top + side + bottom)" role="img" tabindex="0" data-keys
           :aria-label="words" @keydown="key" @pointermove="move" @pointerleave="at = null">
        <rect v-for="cell in cells" :x="cell.x" :y="cell.y" :width="step + 0.4" :height="step + 0.4" :style="{ fill: cell.fill }"/>
        <path v-for="line in lines" class="around-line" :d="line"/>
        <circle class="around-here" :cx="left + side / 2" :cy="top + side / 2" r="5"/>
        <rect v-if="at" class="confusion-at" :x="left + at[1] * step" :y="top + (size - 1 - at[0]) * step" :width="step" :height="step"/>
        <g v-for="t in [-1, 0, 1]" class="around-tick">
          <text :x="left + (t + 1) / 2 * side" :y="top + side + 16" :text-anchor="t < 0 ? 'start' : t ? 'end' : 'middle'">{{ number(t * reach) }}</text>
          <text :x="left - 8" :y="top + (1 - t) / 2 * side + (t > 0 ? 10 : t ? 0 : 4)" text-anchor="end">{{ number(t * reach) }}</text>
        </g>
        <text class="around-axis" :x="left + side / 2" :y="top + side + 33" text-anchor="middle">along one direction</text>
        <text class="around-axis" :transform="'translate(12 ' + (top + side / 2) + ') rotate(-90)'" text-anchor="middle">along the other</text>
      </svg>
      <div class="heat-foot"><span class="heat-read" aria-live="polite">{{ read }}</span>
        <span class="heat-save">
          <button type="button" @click="store('png')" aria-label="Save the loss around as PNG">PNG</button>
          <button type="button" @click="store('svg')" aria-label="Save the loss around as SVG">SVG</button>
        </span></div>
    </figure>`,
  props: { losses: String, size: Number, reach: Number },
  data: () => ({ at: null, side: SIDE, left: LEFT, top: TOP, bottom: BOTTOM }),
  computed: {
    values() { return chainruleStudio.floats(this.losses); },
    step() { return SIDE / this.size; },
    // The loss grows by powers: what is small near the net and what is large far off are both seen.
    heights() { return Array.from(this.values, (v) => v > 0 ? Math.log10(v) : v === 0 ? -12 : NaN); },
    range() {
      const finite = this.heights.filter(Number.isFinite);
      return finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 1];
    },
    cells() {
      const colour = chainruleStudio.scale("cividis", ...this.range), n = this.size;
      return this.heights.map((z, i) => ({
        x: LEFT + (i % n) * this.step, y: TOP + (n - 1 - Math.floor(i / n)) * this.step, fill: `rgb(${colour(z)})`,
      }));
    },
    lines() {
      const [low, high] = this.range;
      return high - low < 1e-6 ? [] : Array.from({ length: LINES }, (_, i) => this.line(low + (high - low) * (i + 1) / (LINES + 1)));
    },
    read() {
      const n = this.number;
      if (!this.at) {
        const finite = this.values.filter(Number.isFinite);
        return finite.length ? `loss ${n(Math.min(...finite))} to ${n(Math.max(...finite))}` : "no finite loss";
      }
      const [r, c] = this.at, place = (i) => this.size > 1 ? this.reach * (2 * i / (this.size - 1) - 1) : 0;
      return `${n(place(c))} across, ${n(place(r))} up: loss ${n(this.values[r * this.size + c])}`;
    },
    words() { return `The loss along two random directions, the net in the middle. ${this.read}`; },
  },
  methods: {
    number: (v) => chainruleStudio.number(v),
    // Marching squares: through each square of four places go pieces of the line, from side to side.
    line(level) {
      const n = this.size, z = this.heights, pieces = [];
      const x = (c) => LEFT + (c + 0.5) * this.step, y = (r) => TOP + (n - 0.5 - r) * this.step;
      for (let r = 0; r + 1 < n; r++) for (let c = 0; c + 1 < n; c++) {
        const corners = [[r, c], [r, c + 1], [r + 1, c + 1], [r + 1, c]], ends = [];
        for (let k = 0; k < 4; k++) {
          const [r1, c1] = corners[k], [r2, c2] = corners[(k + 1) % 4], a = z[r1 * n + c1], b = z[r2 * n + c2];
          if (!Number.isFinite(a + b) || (a < level) === (b < level)) continue;
          const t = (level - a) / (b - a);
          ends.push(`${x(c1 + t * (c2 - c1)).toFixed(1)},${y(r1 + t * (r2 - r1)).toFixed(1)}`);
        }
        for (let k = 0; k + 1 < ends.length; k += 2) pieces.push(`M${ends[k]}L${ends[k + 1]}`);
      }
      return pieces.join("");
    },
    move(event) {
      const box = this.$refs.svg.getBoundingClientRect(), times = (LEFT + SIDE + 8) / box.width;
      const c = Math.floor(((event.clientX - box.left) * times - LEFT) / this.step);
      const r = this.size - 1 - Math.floor(((event.clientY - box.top) * times - TOP) / this.step);
      this.at = r >= 0 && c >= 0 && r < this.size && c < this.size ? [r, c] : null;
    },
    key(event) {
      const step = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (step) {
        const middle = (this.size - 1) / 2, [r, c] = this.at || [middle, middle], last = this.size - 1;
        this.at = [Math.max(0, Math.min(last, r + step[0])), Math.max(0, Math.min(last, c + step[1]))];
      } else if (event.key === "Escape") this.at = null;
      else return;
      event.preventDefault();
    },
    store(kind) { chainruleStudio.saveSvg(this.$refs.svg, "loss-around", kind); },
  },
};
