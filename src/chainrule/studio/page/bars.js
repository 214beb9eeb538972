// How often values fall where: bars, with their counts under the pointer.
export default {
  template: `
    <figure ref="figure" class="bars">
      <figcaption class="heat-caption">{{ title }}</figcaption>
      <svg ref="svg" :viewBox="'0 0 ' + wide + ' 40'" preserveAspectRatio="none" role="img" :aria-label="words"
           tabindex="0" data-keys @keydown="key" @pointermove="move" @pointerleave="at = null">
        <line class="bars-ground" x1="0" :x2="wide" y1="39.5" y2="39.5"/>
        <line v-if="zero !== null" class="bars-zero" :x1="zero" :x2="zero" y1="0" y2="40"/>
        <rect v-for="(n, i) in found.counts" :class="['bars-bar', look, { 'bars-at': i === at }]" :x="i * 4 + 0.4" width="3.2"
              :y="39 - tall(n)" :height="tall(n)"/>
      </svg>
      <div class="heat-foot"><span class="heat-read" aria-live="polite">{{ read }}</span>
        <span v-if="save" class="heat-save">
          <button type="button" @click="store('png')" :aria-label="'Save ' + label + ' as PNG'">PNG</button>
          <button type="button" @click="store('svg')" :aria-label="'Save ' + label + ' as SVG'">SVG</button>
        </span></div>
    </figure>`,
  props: { histogram: String, title: String, label: String, look: String, save: Boolean },
  data: () => ({ at: null }),
  computed: {
    found() { return this.histogram ? JSON.parse(this.histogram) : { low: 0, high: 0, counts: [], zeros: 0, broken: 0 }; },
    wide() { return 4 * Math.max(1, this.found.counts.length); },
    most() { return Math.max(1, ...this.found.counts); },
    // Where all values are one, its bar is in the middle: from one less to one more.
    ends() { const { low, high } = this.found; return high > low ? [low, high] : [low - 1, low + 1]; },
    zero() { const [a, b] = this.ends; return a < 0 && b > 0 ? this.wide * -a / (b - a) : null; },
    words() { return `${this.label}: ${this.read}`; },
    read() {
      const n = chainruleStudio.number, { low, high, counts, zeros, broken } = this.found;
      if (this.at !== null && this.at < counts.length) {
        const [a, b] = this.ends, step = (b - a) / counts.length;
        return `${counts[this.at].toLocaleString("en")} from ${n(a + this.at * step)} to ${n(a + (this.at + 1) * step)}`;
      }
      if (!counts.some((c) => c)) return broken ? "no finite number" : "nothing";
      const part = zeros >= 0.005 ? `, ${zeros < 1 ? Math.min(99, Math.round(100 * zeros)) : 100} % are 0` : "";
      return (low < high ? `${n(low)} to ${n(high)}` : `all ${n(low)}`) + (low < high || low ? part : "")
        + (broken ? `, ${broken.toLocaleString("en")} not finite` : "");
    },
  },
  methods: {
    // The root: a bar of a thousandth of the values is still seen beside that of all the zeros.
    tall(n) { return n ? Math.max(1, 37 * Math.sqrt(n / this.most)) : 0; },
    move(event) {
      const box = this.$refs.svg.getBoundingClientRect(), count = this.found.counts.length;
      this.at = count ? Math.max(0, Math.min(count - 1, Math.floor((event.clientX - box.left) / box.width * count))) : null;
    },
    key(event) {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], last = this.found.counts.length - 1;
      if (event.key === "Escape") this.at = null;
      else if (step) { this.at = Math.max(0, Math.min(last, (this.at ?? -1) + step)); event.preventDefault(); }
    },
    store(kind) { chainruleStudio.saveBlock(this.$refs.figure, this.label.replace(/[^\w]+/g, "-"), kind); },
  },
};
