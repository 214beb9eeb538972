// The runs of a folder: sorted, filtered, chosen; drawn in the browser, since there may be a thousand.
const FIRST = 100, NARROW = matchMedia("(max-width: 720px)"); // then some columns are left out
const COLUMNS = [["name", "run", "name"], ["data", "data", "wide"], ["net", "net", "wide"], ["optimizer", "optimiser", "wide"],
  ["lr", "rate", "wide number"], ["batch", "batch", "wide number"], ["epochs", "epochs", "wide number"],
  ["best", "best held out", "number"], ["made", "made", "wide"]];
let count = 0;

export default {
  template: `
    <div>
      <div class="runs-tools">
        <div class="field"><label class="field-label" :for="id">Show those with the words</label>
          <input :id="id" type="search" v-model="words" @change="tell" autocomplete="off" spellcheck="false"></div>
        <p class="facts" role="status">{{ said }}</p>
      </div>
      <div class="runs-scroll" tabindex="0" role="region" aria-label="The runs">
        <table v-if="found.length" class="runs-table">
          <thead><tr>
            <th scope="col"><span class="sr-only">side by side</span></th>
            <th v-for="[key, name, look] in columns" scope="col" :class="look" :aria-sort="order === key ? (down ? 'descending' : 'ascending') : null">
              <button type="button" class="runs-sort" @click="by(key)">{{ name }}{{ order === key ? (down ? ' ↓' : ' ↑') : '' }}</button></th>
            <th scope="col"><span class="sr-only">open</span></th>
          </tr></thead>
          <tbody>
            <tr v-for="run in shown" :key="run.name" :class="{ chosen: chosen.includes(run.name) }">
              <td><input v-if="!run.words" type="checkbox" :checked="chosen.includes(run.name)" @change="$emit('choose', run.name)" :aria-label="'Side by side: ' + run.name"></td>
              <td class="name">{{ run.name }}</td>
              <td v-if="run.words" class="broken" :colspan="narrow ? 2 : 7">{{ run.words }}</td>
              <template v-else>
                <td class="wide">{{ run.data }}</td><td class="wide" :title="run.layers || null">{{ run.net }}</td><td class="wide">{{ run.optimizer }}</td><td class="wide number">{{ run.lr === null ? '' : number(run.lr) }}</td>
                <td class="wide number">{{ run.batch }}</td><td class="wide number">{{ run.epochs.toLocaleString("en") }}</td><td class="number">{{ run.best_words }}<span class="runs-when">{{ run.when }}</span></td>
              </template>
              <td class="wide">{{ run.when }}</td>
              <td v-if="!(narrow && run.words)"><button v-if="run.saved" type="button" class="button" @click="$emit('open', run.name)" :aria-label="'Open ' + run.name">Open</button>
                <span v-else-if="!run.words" class="facts">no model yet</span></td>
            </tr>
          </tbody>
        </table>
      </div>
      <button v-if="found.length > shown.length" type="button" class="button" @click="all = true; tell()">Show all {{ found.length.toLocaleString("en") }}</button>
    </div>`,
  props: { rows: String, chosen: Array, first: Object },
  emits: ["choose", "open", "state"],
  data() { return { words: this.first.words, order: this.first.order, down: this.first.down, all: this.first.all, narrow: NARROW.matches, columns: COLUMNS, id: `runs-${++count}` }; },
  computed: {
    runs() { return JSON.parse(this.rows); },
    found() {
      const words = this.words.toLowerCase().split(/\s+/).filter(Boolean), key = this.order, sign = this.down ? -1 : 1;
      const has = (run) => [run.name, run.data, run.net, run.layers, run.optimizer, run.words].join(" ").toLowerCase();
      const kept = this.runs.filter((run) => words.every((word) => has(run).includes(word)));
      const none = (v) => v === null || v === undefined || v === "";
      // Those without a value come last, whichever way it goes.
      return kept.sort((a, b) => none(a[key]) || none(b[key]) ? none(a[key]) - none(b[key])
        : sign * (typeof a[key] === "string" ? a[key].localeCompare(b[key], "en", { numeric: true }) : a[key] - b[key]));
    },
    shown() { return this.all ? this.found : this.found.slice(0, FIRST); },
    said() {
      const n = this.runs.length, many = `${n.toLocaleString("en")} run${n === 1 ? "" : "s"}`;
      return this.found.length === n ? many : `${this.found.length.toLocaleString("en")} of ${many}`;
    },
  },
  mounted() { NARROW.addEventListener("change", this.turn); },
  unmounted() { NARROW.removeEventListener("change", this.turn); },
  methods: {
    turn() { this.narrow = NARROW.matches; },
    number: (v) => chainruleStudio.number(v),
    by(key) {
      // The first click shows the newest, the best, the largest first; names from A on.
      this.down = this.order === key ? !this.down : ["best", "made", "epochs"].includes(key);
      this.order = key;
      this.tell();
    },
    tell() { this.$emit("state", { words: this.words, order: this.order, down: this.down, all: this.all }); },
  },
};
