declare module 'virtual:guide/*' {
  const html: string;
  export default html;
}

/** What the doctor says on each of its rules; the ways to mend go by systems
 * and tools, "" is the usual one. */
declare module 'virtual:doctor/*' {
  const rules: Record<string, { title: string; consequence: string; mend: Record<string, string> }>;
  export default rules;
}
