/** Dotted name of a Python module, as `import` takes it. */
export const MODULE_NAME = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
export const MOST_MODULES = 10_000;

export interface PreloadList {
  /** In the order of the lines. */
  readonly modules: readonly string[];
  /** Lines that are no name of a module, by their number. */
  readonly wrong: readonly { readonly line: number; readonly text: string }[];
}

/** A preload list: one module a line, comments after `#`, blank lines. */
export function parsePreloadList(text: string): PreloadList {
  const lines = text
    .split('\n')
    .map((written, index) => ({ line: index + 1, text: written.replace(/#.*/, '').trim() }))
    .filter((found) => found.text !== '');
  return {
    modules: lines.filter((found) => MODULE_NAME.test(found.text)).map((found) => found.text),
    wrong: lines.filter((found) => !MODULE_NAME.test(found.text)),
  };
}
