// A list to choose one of: the browser's own, with its label.
let count = 0;

export default {
  template: `
    <div class="field">
      <label class="field-label" :for="id">{{ label }}</label>
      <select :id="id" :value="chosen" @change="$emit('choose', $event.target.value)">
        <option v-for="[value, words] in options" :key="value" :value="value">{{ words }}</option>
      </select>
    </div>`,
  props: { label: String, options: Array, chosen: String },
  emits: ["choose"],
  data: () => ({ id: `choice-${++count}` }),
};
