// Types are stripped by Svelte itself; warnings of the compiler are errors.
export default {
  compilerOptions: { runes: true },
};
