// Samples side by side, each a link: its picture if it is an image, and what is said of it.
export default {
  template: `
    <div class="samples">
      <ol>
        <li v-for="card in cards" :key="card.sample">
          <a :href="card.href" :aria-label="card.title + ', ' + card.words + '. ' + what">
            <canvas v-if="card.image" :data-sample="card.sample" ref="pictures" :width="columns" :height="rows"
                    :style="{ aspectRatio: columns + ' / ' + rows }"></canvas>
            <span class="sample-title">{{ card.title }}</span>
            <span class="sample-words"><template v-for="(piece, i) in card.words.split(', ')">{{ i ? ', ' : '' }}<span class="sample-piece">{{ piece }}</span></template></span>
            <span v-if="card.facts" class="sample-words">{{ card.facts }}</span>
          </a>
        </li>
      </ol>
      <div v-if="cards.length && cards[0].image" class="heat-foot"><span></span><span class="heat-save">
        <button type="button" @click="store('png')" :aria-label="'Save ' + label + ' as PNG'">PNG</button>
        <button type="button" @click="store('svg')" :aria-label="'Save ' + label + ' as SVG'">SVG</button>
      </span></div>
    </div>`,
  props: { content: String, rows: Number, columns: Number, most: Number, label: String, what: String },
  computed: { cards() { return JSON.parse(this.content); } },
  watch: { content: "later" },
  mounted() { addEventListener("chainrule-theme", this.draw); this.draw(); },
  unmounted() { removeEventListener("chainrule-theme", this.draw); },
  methods: {
    later() { this.$nextTick(this.draw); },
    draw() {
      const ink = chainruleStudio.scale("ink", 0, this.most), size = this.rows * this.columns;
      const shown = new Map((this.$refs.pictures || []).map((canvas) => [canvas.dataset.sample, canvas]));
      for (const card of this.cards) {
        const canvas = shown.get(String(card.sample));
        if (!canvas) continue;
        const values = chainruleStudio.floats(card.image), context = canvas.getContext("2d");
        const image = context.createImageData(this.columns, this.rows), coloured = values.length === 3 * size;
        for (let i = 0; i < size; i++) {
          const rgb = coloured ? [0, 1, 2].map((c) => 255 * values[3 * i + c] / this.most) : ink(values[i]);
          image.data.set([...rgb, 255], 4 * i);
        }
        context.putImageData(image, 0, 0);
      }
    },
    // All of them as one drawing, with their words.
    store(kind) {
      const SVG = "http://www.w3.org/2000/svg", across = Math.min(6, this.cards.length), wide = 128, high = 132;
      const make = (name, attributes, words) => {
        const made = document.createElementNS(SVG, name);
        for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
        if (words) made.textContent = words;
        return made;
      };
      const down = Math.ceil(this.cards.length / across), size = { width: across * wide, height: down * high };
      const svg = make("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}`, class: "samples-drawing" });
      const shown = new Map(this.$refs.pictures.map((canvas) => [canvas.dataset.sample, canvas]));
      this.cards.forEach((card, i) => {
        const x = (i % across) * wide + 12, y = Math.floor(i / across) * high + 10;
        svg.append(
          make("image", { x, y, width: 80, height: 80, href: shown.get(String(card.sample)).toDataURL(), style: "image-rendering:pixelated" }),
          make("text", { x, y: y + 96, class: "samples-strong" }, card.title), make("text", { x, y: y + 111 }, card.words),
        );
      });
      document.body.append(svg);
      chainruleStudio.saveSvg(svg, this.label.replace(/[^\w]+/g, "-"), kind);
      svg.remove();
    },
  },
};
