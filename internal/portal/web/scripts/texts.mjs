// The message catalogues of the portal, src/text/LANGUAGE.json.
//
//   node scripts/texts.mjs check
//       no key is missing in a language, none is unused, all have the same
//       {parameters}, nothing was left in English, no component holds text
//   node scripts/texts.mjs add KEY EN PT-BR DE FI [KEY EN PT-BR DE FI …]
//   node scripts/texts.mjs del KEY…
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'svelte/compiler';

const root = fileURLToPath(new URL('../src/', import.meta.url));
const languages = ['en', 'pt-BR', 'de', 'fi'];
const file = (language) => join(root, 'text', `${language}.json`);
const read = (language) => (existsSync(file(language)) ? JSON.parse(readFileSync(file(language), 'utf8')) : {});

function write(language, texts) {
  const sorted = Object.fromEntries(Object.keys(texts).sort().map((k) => [k, texts[k]]));
  writeFileSync(file(language), JSON.stringify(sorted, null, 2) + '\n');
}

/** Several people may add texts to one tree at a time. */
function locked(change) {
  const lock = join(root, 'text', '.lock');
  for (let i = 0; ; i++) {
    try {
      mkdirSync(lock);
      break;
    } catch (e) {
      if (i > 100) throw e;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
  try {
    change();
  } finally {
    rmdirSync(lock);
  }
}

function add(args) {
  if (args.length === 0 || args.length % 5) throw new Error('give KEY EN PT-BR DE FI, five at a time');
  locked(() => {
    languages.forEach((language, n) => {
      const texts = read(language);
      for (let i = 0; i < args.length; i += 5) texts[args[i]] = args[i + 1 + n];
      write(language, texts);
    });
  });
}

function del(keys) {
  locked(() => {
    for (const language of languages) {
      const texts = read(language);
      for (const key of keys) delete texts[key];
      write(language, texts);
    }
  });
}

function sources(dir) {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) return name === 'text' ? [] : sources(path);
    return /\.(svelte|ts)$/.test(name) ? [path] : [];
  });
}

/** Names of {parameters}, those of plurals too. */
function parameters(text) {
  return [...new Set([...text.matchAll(/\{(\w+)(?=[},])/g)].map((m) => m[1]))].filter((p) => !/^(one|other|few|many|zero|two)$/.test(p)).sort().join();
}

/** Words that are the same in several languages. */
const same = new Set(['kuva', 'Status', 'Normal', 'Images', 'Image', 'Tags', 'Name', 'Format', 'Details', 'URL', 'ID', 'Community', 'Filter', 'Link', 'Links', 'Export', 'Import', 'Administration', 'Region', 'Bucket', 'Domain', 'Version', 'SBOM', 'Lineage', 'Firmware', 'Bus', 'OK']);

const attributes = new Set(['title', 'aria-label', 'placeholder', 'alt', 'label', 'text', 'hint', 'heading', 'description']);
const letters = /\p{L}{2,}/u;

function check() {
  const wrong = [];
  const catalogues = Object.fromEntries(languages.map((l) => [l, read(l)]));
  const en = catalogues.en;
  for (const language of languages) {
    const texts = catalogues[language];
    const name = `text/${language}.json`;
    for (const key of Object.keys(en)) if (!texts[key]?.trim()) wrong.push(`${name}: ${key} is missing`);
    for (const key of Object.keys(texts)) {
      if (!(key in en)) wrong.push(`${name}: ${key} is not in en.json`);
      else if (parameters(texts[key]) !== parameters(en[key])) wrong.push(`${name}: ${key} has other {parameters} than en.json: ${parameters(texts[key])}`);
      else if (language !== 'en' && texts[key] === en[key] && /\p{L}{3,} .*\p{L}{3,}/u.test(en[key]) && !same.has(en[key])) wrong.push(`${name}: ${key} is still English`);
    }
    if (JSON.stringify(Object.keys(texts)) !== JSON.stringify(Object.keys(texts).sort())) wrong.push(`${name} is not sorted: node scripts/texts.mjs del nothing`);
  }

  let all = '';
  for (const path of sources(root)) {
    const code = readFileSync(path, 'utf8');
    all += code;
    if (!path.endsWith('.svelte')) continue;
    const at = (node) => `${relative(root, path)}:${code.slice(0, node.start).split('\n').length}`;
    walk(parse(code, { modern: true }).fragment, (node, silent) => {
      if (node.type === 'Text' && !silent && letters.test(node.data)) wrong.push(`${at(node)}: text in the code: ${JSON.stringify(node.data.trim())}`);
      if (node.type === 'Attribute' && attributes.has(node.name) && Array.isArray(node.value))
        for (const v of node.value) if (v.type === 'Text' && letters.test(v.data)) wrong.push(`${at(node)}: text in the attribute ${node.name}`);
    });
  }
  // Keys may be made of a constant beginning: t(`status.${s}`).
  const beginnings = [...all.matchAll(/`([a-z][\w.-]*\.)\$\{/g)].map((m) => m[1]);
  for (const key of Object.keys(en)) {
    if (!all.includes(`'${key}'`) && !beginnings.some((b) => key.startsWith(b))) wrong.push(`text: ${key} is used nowhere`);
  }
  for (const line of wrong) console.error(line);
  console.log(wrong.length ? `${wrong.length} things wrong with texts` : `${Object.keys(en).length} texts in ${languages.length} languages`);
  process.exit(wrong.length ? 1 : 0);
}

/** Visits the markup; silent is true inside what is not for translation. */
function walk(node, see, silent = false) {
  if (!node || typeof node !== 'object') return;
  if (Array.isArray(node)) return node.forEach((n) => walk(n, see, silent));
  if (node.type === 'StyleDirective' || node.type === 'ClassDirective') return;
  if (node.type === 'Attribute') return see(node, silent);
  if (node.type === 'RegularElement') {
    const untranslated = node.attributes.some((a) => a.name === 'translate' && a.value?.[0]?.data === 'no');
    silent ||= untranslated || ['code', 'pre', 'style', 'script'].includes(node.name);
  }
  see(node, silent);
  for (const [name, child] of Object.entries(node)) if (!['parent', 'metadata', 'expression'].includes(name)) walk(child, see, silent);
}

const [command, ...args] = process.argv.slice(2);
if (command === 'add') add(args);
else if (command === 'del') del(args);
else if (command === 'check') check();
else throw new Error('say check, add or del');
