// A number to type: what is being typed stays, whatever is shown anew meanwhile; and what was typed, until the server has heard it.
let count = 0;

export default {
  template: `
    <div class="field">
      <label class="field-label" :for="id">{{ label }}</label>
      <input :id="id" type="number" inputmode="decimal" :step="step" :min="least" :max="most"
             :value="typed ?? (said > heard ? told : value)" @input="typed = $event.target.value"
             @change="tell($event.target.value)" @blur="typed = null">
    </div>`,
  props: { label: String, value: String, step: String, least: String, most: String, heard: Number },
  emits: ["choose"],
  data() { return { id: `number-${++count}`, typed: null, told: "", said: this.heard }; },
  methods: {
    tell(value) {
      this.typed = null;
      this.told = value;
      this.$emit("choose", value, ++this.said);
    },
  },
};
