declare module 'virtual:guide/*' {
  const html: string;
  export default html;
}
