// Numbers that are predicted over those that are true; a sample can be chosen by pointer or cursor keys.
const SIDE = 320, LEFT = 80, TOP = 10, BOTTOM = 42;

export default {
  template: `
    <figure class="scatter">
      <svg ref="svg" :viewBox="'0 0 ' + (left + side + 12) + ' ' + (top + side + bottom)" role="img" tabindex="0" data-keys
           :aria-label="words" @keydown="key" @pointermove="move" @pointerleave="at = null" @click="pick">
        <rect class="scatter-ground" :x="left" :y="top" :width="side" :height="side"/>
        <line class="scatter-right" :x1="left" :y1="top + side" :x2="left + side" :y2="top"/>
        <circle v-for="p in points" class="scatter-dot" :cx="x(p[1])" :cy="y(p[2])" r="3"/>
        <circle v-if="at !== null && points[at]" class="scatter-at" :cx="x(points[at][1])" :cy="y(points[at][2])" r="6"/>
        <g v-for="t in [0, 0.5, 1]" class="around-tick">
          <text :x="left + t * side" :y="top + side + 16" :text-anchor="['start', 'middle', 'end'][2 * t]">{{ number(edge(t)) }}</text>
          <text :x="left - 8" :y="top + (1 - t) * side + [0, 4, 10][2 * t]" text-anchor="end">{{ number(edge(t)) }}</text>
        </g>
        <text class="around-axis" :x="left + side / 2" :y="top + side + 34" text-anchor="middle">true</text>
        <text class="around-axis" :transform="'translate(12 ' + (top + side / 2) + ') rotate(-90)'" text-anchor="middle">predicted</text>
      </svg>
      <div class="heat-foot"><span class="heat-read" aria-live="polite">{{ read }}</span>
        <span class="heat-save">
          <button type="button" @click="store('png')" aria-label="Save predicted over true as PNG">PNG</button>
          <button type="button" @click="store('svg')" aria-label="Save predicted over true as SVG">SVG</button>
        </span></div>
    </figure>`,
  props: { content: String },
  emits: ["pick"],
  data: () => ({ at: null, side: SIDE, left: LEFT, top: TOP, bottom: BOTTOM }),
  computed: {
    points() { return JSON.parse(this.content); }, // sample, true, predicted; in the order of the true numbers
    range() {
      const all = this.points.flatMap((p) => [p[1], p[2]]), low = Math.min(...all), high = Math.max(...all);
      return all.length ? (low < high ? [low, high] : [low - 1, high + 1]) : [0, 1];
    },
    read() {
      const p = this.at === null ? null : this.points[this.at], n = this.number;
      return p ? `sample ${p[0]}: true ${n(p[1])}, predicted ${n(p[2])}` : "On the line: predicted as it is. Choose a sample to walk its chain rule.";
    },
    words() { return `Predicted over true numbers of ${this.points.length} samples. ${this.read}`; },
  },
  methods: {
    number: (v) => chainruleStudio.number(v),
    edge(t) { const [a, b] = this.range; return a + t * (b - a); },
    x(v) { const [a, b] = this.range; return LEFT + (v - a) / (b - a) * SIDE; },
    y(v) { const [a, b] = this.range; return TOP + (b - v) / (b - a) * SIDE; },
    move(event) {
      const box = this.$refs.svg.getBoundingClientRect(), times = (LEFT + SIDE + 12) / box.width;
      const px = (event.clientX - box.left) * times, py = (event.clientY - box.top) * times;
      let best = 14 ** 2, found = null;
      this.points.forEach((p, i) => {
        const far = (this.x(p[1]) - px) ** 2 + (this.y(p[2]) - py) ** 2;
        if (far < best) { best = far; found = i; }
      });
      this.at = found;
    },
    pick(event) { this.move(event); if (this.at !== null) this.$emit("pick", this.points[this.at][0]); },
    key(event) {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], last = this.points.length - 1;
      if (step && last >= 0) this.at = Math.max(0, Math.min(last, this.at === null ? 0 : this.at + step));
      else if (event.key === "Enter" && this.at !== null) this.$emit("pick", this.points[this.at][0]);
      else if (event.key === "Escape") this.at = null;
      else return;
      event.preventDefault();
    },
    store(kind) { chainruleStudio.saveSvg(this.$refs.svg, "predicted-over-true", kind); },
  },
};
