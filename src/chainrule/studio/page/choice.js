// A list to choose one of: the browser's own, with its label. What was chosen stays until the server has heard it.
let count = 0;

export default {
  template: `
    <div class="field">
      <label class="field-label" :for="id">{{ label }}</label>
      <select :id="id" :value="said > heard ? told : chosen" @change="tell($event.target.value)">
        <option v-for="[value, words] in options" :key="value" :value="value">{{ words }}</option>
      </select>
    </div>`,
  props: { label: String, options: Array, chosen: String, heard: Number },
  emits: ["choose"],
  data() { return { id: `choice-${++count}`, told: "", said: this.heard }; },
  methods: {
    tell(value) {
      this.told = value;
      this.$emit("choose", value, ++this.said);
    },
  },
};
