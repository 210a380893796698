// Returns what is cut off: text wider than the element that holds it, text
// that something around it clips, words of fields that do not fit, and a page
// that is wider than its window. What people can scroll is not cut off; what
// only screen readers read is left out.
function cutTexts() {
  const found = new Set();
  const say = (e, why) =>
    found.add(`<${e.localName} class="${e.getAttribute('class') ?? ''}"> “${(e.innerText ?? e.value ?? '').trim().slice(0, 60)}” ${why}`);
  const hiddenForEyes = e => {
    for (; e && e !== document.body; e = e.parentElement) {
      const s = getComputedStyle(e);
      if (s.clipPath === 'inset(50%)' || (s.clip !== 'auto' && s.position === 'absolute')) return true;
      if (s.visibility === 'hidden' || s.opacity === '0') return true;
      const r = e.getBoundingClientRect();
      if (s.overflow === 'hidden' && r.width <= 1 && r.height <= 1) return true;
    }
    return false;
  };
  if (document.documentElement.scrollWidth > innerWidth) {
    found.add(`the page is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
    for (const e of document.body.querySelectorAll('*')) {
      if (e.getBoundingClientRect().right > innerWidth + 1 && !hiddenForEyes(e) && !e.children.length) say(e, 'is beyond the window');
    }
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const e = n.parentElement;
    if (!n.data.trim() || /^(script|style|option|textarea|title)$/.test(e.localName) || e.closest('svg')) continue;
    range.selectNodeContents(n);
    const boxes = [...range.getClientRects()].filter(r => r.width > 0);
    if (!boxes.length || hiddenForEyes(e)) continue;
    if (e.clientWidth > 0 && e.scrollWidth > e.clientWidth && !/auto|scroll/.test(getComputedStyle(e).overflowX)) {
      say(e, `needs ${e.scrollWidth} and has ${e.clientWidth}`);
      continue;
    }
    const left = Math.min(...boxes.map(r => r.left)), right = Math.max(...boxes.map(r => r.right));
    const top = Math.min(...boxes.map(r => r.top)), bottom = Math.max(...boxes.map(r => r.bottom));
    for (let a = e; a && a !== document.body; a = a.parentElement) {
      const s = getComputedStyle(a);
      if (s.display === 'inline') continue;
      if (/auto|scroll/.test(s.overflowX + s.overflowY)) break; // people can scroll there
      const b = a.getBoundingClientRect();
      if (/hidden|clip/.test(s.overflowX) && (right > b.right + 1 || left < b.left - 1)) {
        say(e, `is clipped by <${a.localName} class="${a.getAttribute('class') ?? ''}">, ${Math.round(Math.max(right - b.right, b.left - left))} wide`);
        break;
      }
      // Glyph boxes reach a little over the line that they stand in.
      if (/hidden|clip/.test(s.overflowY) && (bottom > b.bottom + 4 || top < b.top - 4)) {
        say(e, `is clipped by <${a.localName} class="${a.getAttribute('class') ?? ''}">, ${Math.round(Math.max(bottom - b.bottom, b.top - top))} high`);
        break;
      }
      if (s.position === 'fixed') break;
    }
  }
  const pen = document.createElement('canvas').getContext('2d');
  for (const e of document.querySelectorAll('input[placeholder], select')) {
    if (!e.offsetParent || hiddenForEyes(e)) continue;
    const s = getComputedStyle(e);
    pen.font = s.font;
    const words = e.localName === 'select' ? e.selectedOptions[0]?.label ?? '' : e.placeholder;
    const room = e.clientWidth - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight);
    const needs = pen.measureText(words).width;
    if (needs > room + 1) say(e, `“${words}” needs ${Math.ceil(needs)} and has ${Math.floor(room)}`);
  }
  return [...found];
}
