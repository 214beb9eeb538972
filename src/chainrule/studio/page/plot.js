// Curves over steps, as a drawing: axes, values under the pointer, to be saved as PNG or SVG.
const LEFT = 52, RIGHT = 12, TOP = 12, BOTTOM = 26;

function ticks(low, high, count) {
  const span = high - low || 1, raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw), found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9 * span; v += step) found.push(Math.abs(v) < 1e-12 * span ? 0 : v);
  return found;
}

export default {
  template: `
    <figure ref="figure" class="plot">
      <figcaption class="plot-head">
        <span class="plot-title">{{ title }}</span>
        <span class="plot-legend">
          <span v-for="s in shown" :class="'plot-key series-' + s.look">{{ s.name }}
            <b v-if="s.points.length">{{ number(value(s)) }}</b></span>
        </span>
      </figcaption>
      <svg ref="svg" :viewBox="'0 0 ' + width + ' ' + height" role="img" tabindex="0" data-keys :aria-label="words"
           @pointermove="move" @pointerleave="at = null" @keydown="key">
        <g v-for="t in yTicks" class="plot-tick">
          <line :x1="left" :x2="width - right" :y1="y(t)" :y2="y(t)"/>
          <text :x="left - 8" :y="y(t) + 4" text-anchor="end">{{ number(t) }}</text>
        </g>
        <g v-for="t in xTicks" class="plot-tick">
          <text :x="x(t)" :y="height - 8" text-anchor="middle">{{ tick(t) }}</text>
        </g>
        <path v-for="s in shown" :class="'plot-line series-' + s.look" :d="path(s.points)"/>
        <g v-for="s in shown"><circle v-if="s.points.length" :class="'plot-dot series-' + s.look" r="3.5"
          :cx="x(near(s)[0])" :cy="y(near(s)[1])"/></g>
        <line v-if="mark !== null && count" class="plot-mark" :x1="x(mark)" :x2="x(mark)" :y1="top" :y2="height - bottom"/>
        <line v-if="at !== null" class="plot-cross" :x1="x(at)" :x2="x(at)" :y1="top" :y2="height - bottom"/>
        <text v-if="!count" class="plot-empty" :x="(left + width - right) / 2" :y="height / 2" text-anchor="middle">{{ empty }}</text>
      </svg>
      <div class="heat-foot"><span class="heat-read" aria-live="polite">{{ at === null ? xlabel : xlabel + ' ' + (power ? number(10 ** at) : at) }}</span>
        <span class="heat-save">
          <button type="button" v-if="logable" :aria-pressed="String(log)" @click="log = !log; $emit('log', log)">log</button>
          <button type="button" @click="store('png')" :aria-label="'Save ' + title + ' as PNG'">PNG</button>
          <button type="button" @click="store('svg')" :aria-label="'Save ' + title + ' as SVG'">SVG</button>
        </span></div>
    </figure>`,
  props: { series: String, title: String, xlabel: String, empty: String, unit: Array, logable: Boolean,
    power: Boolean, logged: Boolean, mark: { type: Number, default: null } }, // power: x is the power of ten
  emits: ["log"],
  data() { return { width: 480, height: 144, at: null, log: this.logged,
    left: LEFT, right: RIGHT, top: TOP, bottom: BOTTOM }; },
  computed: {
    shown() { return JSON.parse(this.series); },
    all() { return this.shown.flatMap((s) => s.points).filter((p) => Number.isFinite(p[1]) && (!this.log || p[1] > 0)); },
    count() { return this.all.length; },
    xRange() {
      if (this.power && this.count) { const xs = this.all.map((p) => p[0]); return [Math.min(...xs), Math.max(...xs)]; }
      return [0, Math.max(1, ...this.all.map((p) => p[0]))];
    },
    yRange() {
      if (!this.count) return this.unit || [0, 1];
      const values = this.all.map((p) => p[1]).sort((a, b) => a - b);
      if (this.log) { const a = Math.log10(values[0]), b = Math.log10(values[values.length - 1]); return a < b ? [a, b] : [a - 1, a + 1]; }
      if (this.unit) return [Math.min(this.unit[0], values[0]), this.unit[1]];
      return [Math.min(0, values[0]), values[values.length - 1] * 1.04 || 1];
    },
    yTicks() {
      const [a, b] = this.yRange;
      if (!this.log) return ticks(a, b, 4);
      const found = ticks(Math.floor(a), Math.ceil(b), 4).filter((e) => Number.isInteger(e) && e >= a && e <= b).map((e) => 10 ** e);
      return found.length > 1 ? found : [a, (a + b) / 2, b].map((e) => Number((10 ** e).toPrecision(2)));
    },
    xTicks() { return ticks(...this.xRange, this.width < 420 ? 3 : 5).filter(Number.isInteger); },
    words() {
      return `${this.title}: ` + (this.count ? this.shown.filter((s) => s.points.length)
        .map((s) => `${s.name} ${this.number(s.points[s.points.length - 1][1])}`).join(", ") : this.empty);
    },
  },
  mounted() {
    this.observer = new ResizeObserver(([entry]) => {
      if (entry.contentRect.width > 0) this.width = Math.round(entry.contentRect.width);
    });
    this.observer.observe(this.$refs.svg);
  },
  unmounted() { this.observer.disconnect(); },
  methods: {
    number: (v) => chainruleStudio.number(v),
    tick(t) { return this.power ? '10' + [...String(t)].map((c) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(c)]).join('') : t.toLocaleString("en"); },
    x(v) { const [a, b] = this.xRange; return LEFT + (v - a) / (b - a) * (this.width - LEFT - RIGHT); },
    y(v) { const [a, b] = this.yRange, u = this.log ? Math.log10(v) : v; return TOP + (b - u) / (b - a || 1) * (this.height - TOP - BOTTOM); },
    path(points) {
      let pen = "M", d = "";
      for (const [step, value] of points) {
        if (!Number.isFinite(value) || (this.log && value <= 0)) { pen = "M"; continue; }
        d += `${pen}${this.x(step).toFixed(1)},${this.y(value).toFixed(1)}`;
        pen = "L";
      }
      return d;
    },
    near(s) {
      if (this.at === null) return s.points[s.points.length - 1];
      return s.points.reduce((best, p) => Math.abs(p[0] - this.at) < Math.abs(best[0] - this.at) ? p : best);
    },
    value(s) { return this.near(s)[1]; },
    move(event) {
      if (!this.count) return;
      const box = this.$refs.svg.getBoundingClientRect(), [a, b] = this.xRange;
      const share = ((event.clientX - box.left) * this.width / box.width - LEFT) / (this.width - LEFT - RIGHT);
      const at = a + Math.max(0, Math.min(1, share)) * (b - a);
      this.at = this.power ? at : Math.round(at);
    },
    key(event) {
      const [a, b] = this.xRange, step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") this.at = null;
      else if (step) { this.at = Math.max(a, Math.min(b, (this.at ?? b) + (this.power ? step * (b - a) / 50 : Math.round(step * Math.max(1, (b - a) / 50))))); event.preventDefault(); }
    },
    store(kind) { chainruleStudio.saveBlock(this.$refs.figure, this.title.replace(/[^\w]+/g, "-"), kind); },
  },
};
