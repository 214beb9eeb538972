// A number to type: what is being typed stays, whatever is shown anew meanwhile.
let count = 0;

export default {
  template: `
    <div class="field">
      <label class="field-label" :for="id">{{ label }}</label>
      <input :id="id" type="number" inputmode="decimal" :step="step" :min="least" :max="most"
             :value="typed ?? value" @input="typed = $event.target.value"
             @change="typed = null; $emit('choose', $event.target.value)" @blur="typed = null">
    </div>`,
  props: { label: String, value: String, step: String, least: String, most: String },
  emits: ["choose"],
  data: () => ({ id: `number-${++count}`, typed: null }),
};
