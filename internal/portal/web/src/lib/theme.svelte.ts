// Light, dark, or as the system has it.
export type Theme = 'system' | 'light' | 'dark';

const stored = 'kuva.theme';
let current = $state<Theme>('system');

export function theme(): Theme {
  return current;
}

export function startTheme(): void {
  const saved = localStorage.getItem(stored);
  show(saved === 'light' || saved === 'dark' ? saved : 'system');
}

export function setTheme(to: Theme): void {
  localStorage.setItem(stored, to);
  show(to);
}

function show(to: Theme): void {
  current = to;
  if (to === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = to;
}
