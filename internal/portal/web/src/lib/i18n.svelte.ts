// Texts of the portal in the user's language. Catalogues lie in src/text; en.json
// is what the keys are typed by. Sentences of the server come translated by
// Accept-Language and do not pass here.
import type en from '../text/en.json';

export type Key = keyof typeof en;
export type Params = Record<string, string | number>;
type Catalogue = Record<string, string>;

/** The languages, with their own names. */
export const languages = { en: 'English', 'pt-BR': 'Português (Brasil)', de: 'Deutsch', fi: 'Suomi' } as const;
export type Language = keyof typeof languages;

const load: Record<Language, () => Promise<{ default: Catalogue }>> = {
  en: () => import('../text/en.json'),
  'pt-BR': () => import('../text/pt-BR.json'),
  de: () => import('../text/de.json'),
  fi: () => import('../text/fi.json'),
};

const stored = 'kuva.language';
let texts = $state.raw<Catalogue>({});
let current = $state<Language>('en');
let pseudo = false;

/** The language that the page speaks. */
export function language(): Language {
  return current;
}

function known(tag: string): Language | undefined {
  const base = tag.toLowerCase().split('-')[0];
  return (Object.keys(languages) as Language[]).find((l) => l.toLowerCase().split('-')[0] === base);
}

function preferred(): Language {
  for (const tag of [localStorage.getItem(stored) ?? '', ...navigator.languages]) {
    const found = tag && known(tag);
    if (found) return found;
  }
  return 'en';
}

/** Loads the user's language; the page is drawn after it. `?pseudo` in the
 * address lengthens every text by 40 %, for tests of the layout. */
export async function startLanguage(): Promise<void> {
  pseudo = new URLSearchParams(location.search).has('pseudo');
  await show(preferred());
}

export async function setLanguage(to: Language): Promise<void> {
  localStorage.setItem(stored, to);
  await show(to);
}

async function show(to: Language): Promise<void> {
  const loaded = (await load[to]()).default;
  texts = pseudo ? Object.fromEntries(Object.entries(loaded).map(([k, v]) => [k, lengthen(v)])) : loaded;
  current = to;
  document.documentElement.lang = to;
}

/** Adds 40 % of letters to each word outside {braces}. */
function lengthen(text: string): string {
  return text.replace(/\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\p{L}+/gu, (part) =>
    part.startsWith('{') ? part : part + 'ëoñaü'.repeat(9).slice(0, Math.ceil(part.length * 0.4)),
  );
}

/** Gives the text of a key, with {name} replaced by the parameter of that name
 * and {n, plural, one {# image} other {# images}} by what fits the number. */
export function t(key: Key, params?: Params): string {
  const text = texts[key] ?? key;
  return text.includes('{') ? fill(text, params ?? {}) : text;
}

function fill(text: string, params: Params): string {
  let out = '';
  for (let i = 0; i < text.length; ) {
    const open = text.indexOf('{', i);
    if (open < 0) return out + text.slice(i);
    out += text.slice(i, open);
    const close = closing(text, open);
    out += slot(text.slice(open + 1, close), params);
    i = close + 1;
  }
  return out;
}

function closing(text: string, open: number): number {
  for (let i = open, depth = 0; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return i;
  }
  return text.length;
}

function slot(inside: string, params: Params): string {
  const plural = /^(\w+),\s*plural,/.exec(inside);
  if (!plural) {
    const value = params[inside];
    return typeof value === 'number' ? number(value) : (value ?? `{${inside}}`);
  }
  const n = Number(params[plural[1]!]);
  const forms = new Map([...inside.slice(plural[0].length).matchAll(/(=?\w+)\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}/g)].map((m) => [m[1]!, m[2]!]));
  const form = forms.get(`=${n}`) ?? forms.get(kept('plural', undefined, () => new Intl.PluralRules(current)).select(n)) ?? forms.get('other') ?? '';
  return fill(form.replaceAll('#', number(n)), params);
}

// Formatters are costly to make, and tables need thousands of numbers.
const made = new Map<string, unknown>();
function kept<T>(kind: string, options: object | undefined, make: () => T): T {
  const key = kind + current + (options ? JSON.stringify(options) : '');
  let found = made.get(key) as T | undefined;
  if (!found) made.set(key, (found = make()));
  return found;
}

/** A number as people of the language write it. */
export function number(n: number, options?: Intl.NumberFormatOptions): string {
  return kept('number', options, () => new Intl.NumberFormat(current, options)).format(n);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A size in bytes, with three digits that count: "1.25 GiB". */
export function size(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return '–';
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 2 ** (10 * unit);
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${number(value, { maximumFractionDigits: digits })}\u00a0${units[unit]}`;
}

/** A share of 1, as per cent. */
export function percent(share: number): string {
  return number(share, { style: 'percent', maximumFractionDigits: share < 0.1 ? 1 : 0 });
}

/** Day and minute of a time of the API. */
export function time(at: string | number | Date | null | undefined): string {
  if (!at) return '–';
  return dates({ dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at));
}

/** The day of a time of the API. */
export function day(at: string | number | Date | null | undefined): string {
  if (!at) return '–';
  return dates({ dateStyle: 'medium' }).format(new Date(at));
}

function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return kept('date', options, () => new Intl.DateTimeFormat(current, options));
}

const spans: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31536000], ['month', 2592000], ['week', 604800], ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1],
];

/** How long ago, in the biggest unit that fits: "3 days ago". */
export function ago(at: string | number | Date | null | undefined, now = Date.now()): string {
  if (!at) return '–';
  const seconds = (new Date(at).getTime() - now) / 1000;
  const [unit, length] = spans.find(([, length]) => Math.abs(seconds) >= length) ?? spans[spans.length - 1]!;
  const format = kept('ago', undefined, () => new Intl.RelativeTimeFormat(current, { numeric: 'auto' }));
  return format.format(Math.trunc(seconds / length), unit);
}

/** A length of time in seconds: "2 min 5 s". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const part = (n: number, unit: string) => number(n, { style: 'unit', unit, unitDisplay: 'short' });
  if (s < 60) return part(s, 'second');
  if (s < 3600) return `${part(Math.floor(s / 60), 'minute')} ${part(s % 60, 'second')}`;
  return `${part(Math.floor(s / 3600), 'hour')} ${part(Math.floor((s % 3600) / 60), 'minute')}`;
}

/** Orders names as people of the language do; 2 comes before 10. */
export function collate(a: string, b: string): number {
  return kept('order', undefined, () => new Intl.Collator(current, { numeric: true, sensitivity: 'base' })).compare(a, b);
}
