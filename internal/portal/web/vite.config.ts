import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { Marked } from 'marked';
import { defineConfig, type Plugin } from 'vite';

const guides = new URL('../../../docs/', import.meta.url);

/** Lets pages import docs/guide.LANGUAGE.md as HTML: `virtual:guide/de`. */
function guide(): Plugin {
  const prefix = 'virtual:guide/';
  return {
    name: 'kuva-guide',
    resolveId: (id) => (id.startsWith(prefix) ? '\0' + id : undefined),
    load(id) {
      if (!id.startsWith('\0' + prefix)) return undefined;
      const file = new URL(`guide.${id.slice(prefix.length + 1)}.md`, guides);
      this.addWatchFile(file.pathname);
      return 'export default ' + JSON.stringify(existsSync(file) ? render(readFileSync(file, 'utf8')) : '');
    },
  };
}

const rules = new URL('../../../guest/check/text/', import.meta.url);

/** Lets pages import the doctor's words on each of its rules, by their ids:
 * `virtual:doctor/de`. */
function doctor(): Plugin {
  const prefix = 'virtual:doctor/';
  return {
    name: 'kuva-doctor',
    resolveId: (id) => (id.startsWith(prefix) ? '\0' + id : undefined),
    load(id) {
      if (!id.startsWith('\0' + prefix)) return undefined;
      const language = id.slice(prefix.length + 1);
      const files = readdirSync(rules).filter((f) => f.endsWith('.json')).sort();
      const words = files.map((f) => [f.slice(0, -'.json'.length), JSON.parse(readFileSync(new URL(f, rules), 'utf8'))[language]]);
      return 'export default ' + JSON.stringify(Object.fromEntries(words));
    },
  };
}

/** Headings get ids, so that pages can point at /help#id. */
function render(markdown: string): string {
  const used = new Map<string, number>();
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        const base = text.toLowerCase().replace(/[`*_<>]/g, '').replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '');
        const n = used.get(base) ?? 0;
        used.set(base, n + 1);
        return `<h${depth} id="${n ? `${base}-${n}` : base}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
    },
  });
  return marked.parse(markdown, { async: false });
}

export default defineConfig({
  plugins: [svelte(), guide(), doctor()],
  base: '/portal/',
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    // The policy of the pages lets no inline script and no data URL of a
    // script run, and needs no help with preloading.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ['/image', '/identity', '/kuva', '/files', '/portal/session', '/portal/report'].map((p) => [p, 'http://127.0.0.1:9292']),
    ),
  },
});
