// The lines of a method, with their numbers; some of them marked.
export default {
  template: `
    <figure class="source">
      <figcaption>{{ title }}</figcaption>
      <pre tabindex="0" :aria-label="title"><code><span v-for="(line, i) in lines" :class="{ 'source-line': true, 'source-marked': marked.includes(i) }"><span class="source-number" aria-hidden="true">{{ first + i }}</span>{{ line || " " }}
</span></code></pre>
    </figure>`,
  props: { title: String, first: Number, lines: Array, marked: { type: Array, default: () => [] } },
};
