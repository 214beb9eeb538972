// What is taken for what: a table of counts, drawn; a cell can be chosen by pointer or cursor keys.
const SIDE = 340, LONG = 12;

export default {
  template: `
    <figure class="confusion">
      <svg ref="svg" :viewBox="'0 0 ' + (left + span + right) + ' ' + (top + span + 2)" :style="{ maxWidth: 1.2 * (left + span) + 'px' }"
           role="img" tabindex="0" data-keys :aria-label="words" @keydown="key" @pointerleave="at = null">
        <text class="confusion-axis" :x="left + span / 2" y="12" text-anchor="middle">predicted</text>
        <text class="confusion-axis" :transform="'translate(11 ' + (top + span / 2) + ') rotate(-90)'" text-anchor="middle">true</text>
        <g v-for="(name, i) in short">
          <text class="confusion-name" :style="{ fontSize: small + 'px' }" v-if="!turned" :x="left + (i + 0.5) * side" :y="top - 7" text-anchor="middle">{{ name }}</text>
          <text class="confusion-name" :style="{ fontSize: small + 'px' }" v-else :transform="'translate(' + (left + (i + 0.5) * side + 4) + ' ' + (top - 6) + ') rotate(' + (side < 20 ? -90 : -60) + ')'">{{ name }}</text>
          <text class="confusion-name" :style="{ fontSize: small + 'px' }" :x="left - 7" :y="top + (i + 0.5) * side + 4" text-anchor="end">{{ name }}</text>
        </g>
        <g v-for="cell in cells" class="confusion-cell" @click="pick(cell.at)" @pointerenter="at = cell.at">
          <rect :x="cell.x" :y="cell.y" :width="side - 1" :height="side - 1" :rx="Math.min(3, side / 8)" :style="{ fill: cell.fill }"/>
          <text v-if="cell.words" :x="cell.x + side / 2" :y="cell.y + side / 2 + size / 3" text-anchor="middle" :style="{ fill: cell.ink, fontSize: size + 'px' }">{{ cell.words }}</text>
        </g>
        <rect v-if="mark" class="confusion-mark" v-bind="box(mark)" rx="3"/>
        <rect v-if="at" class="confusion-at" v-bind="box(at)" rx="3"/>
      </svg>
      <div class="heat-foot"><span class="heat-read" aria-live="polite">{{ read }}</span>
        <span class="heat-save">
          <button type="button" @click="store('png')" aria-label="Save the confusion matrix as PNG">PNG</button>
          <button type="button" @click="store('svg')" aria-label="Save the confusion matrix as SVG">SVG</button>
        </span></div>
    </figure>`,
  props: { counts: String, names: Array, mark: Array },
  emits: ["pick"],
  data: () => ({ at: null, theme: 0 }),
  computed: {
    table() { return JSON.parse(this.counts); },
    many() { return this.table.length; },
    side() { return Math.min(this.many > 4 ? 34 : 64, SIDE / Math.max(1, this.many)); },
    span() { return this.side * this.many; },
    size() { return Math.min(13, this.side * 0.42); },
    short() { return this.names.map((name) => name.length > LONG ? name.slice(0, LONG - 1) + "…" : name); },
    longest() { return Math.max(1, ...this.short.map((name) => [...name].length)); },
    turned() { return this.longest * 7 > this.side - 2; },
    small() { return Math.min(12, this.side - 0.5); },
    right() { return this.turned && this.side >= 20 ? 2 + Math.max(0, 3.2 * this.longest - this.side / 2) : 2; },
    left() { return 26 + 7 * this.longest; },
    top() { return this.turned ? 26 + 6.3 * this.longest : 38; },
    sums() { return this.table.map((row) => row.reduce((a, b) => a + b, 0)); },
    cells() {
      this.theme; // colours follow it
      // Right answers are blue, wrong ones orange, as strong as the root of their share of the true class.
      const colour = chainruleStudio.scale("diverging", -1, 1);
      return this.table.flatMap((row, i) => row.map((count, j) => {
        const share = count / (this.sums[i] || 1), [r, g, b] = colour((i === j ? -0.9 : 1) * Math.sqrt(share));
        const light = 0.3 * r + 0.59 * g + 0.11 * b > 140;
        return {
          at: [i, j], x: this.left + j * this.side, y: this.top + i * this.side, fill: `rgb(${r},${g},${b})`,
          ink: light ? "#14171b" : "#ffffff", words: count && this.size >= 5 ? String(count) : "",
        };
      }));
    },
    read() {
      const [i, j] = this.at || this.mark || [-1, -1];
      if (!(i in this.table) || !(j in this.table)) return "Choose a cell to see its samples.";
      const share = this.sums[i] ? ` (${(100 * this.table[i][j] / this.sums[i]).toFixed(1)} %)` : "";
      return `true ${this.names[i]}, predicted ${this.names[j]}: ${this.table[i][j].toLocaleString("en")}${share}`;
    },
    words() { return `Confusion matrix of ${this.many} classes. ${this.read}`; },
  },
  mounted() { addEventListener("chainrule-theme", this.repaint); },
  unmounted() { removeEventListener("chainrule-theme", this.repaint); },
  methods: {
    repaint() { this.theme++; },
    box([i, j]) { return { x: this.left + j * this.side - 0.5, y: this.top + i * this.side - 0.5, width: this.side, height: this.side }; },
    pick(at) { this.$emit("pick", { true: at[0], predicted: at[1] }); },
    key(event) {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (step) {
        const [r, c] = this.at || this.mark || [0, 0], last = this.many - 1;
        this.at = [Math.max(0, Math.min(last, r + step[0])), Math.max(0, Math.min(last, c + step[1]))];
      } else if ((event.key === "Enter" || event.key === " ") && this.at) this.pick(this.at);
      else if (event.key === "Escape") this.at = null;
      else return;
      event.preventDefault();
    },
    store(kind) { chainruleStudio.saveSvg(this.$refs.svg, "confusion-matrix", kind); },
  },
};
