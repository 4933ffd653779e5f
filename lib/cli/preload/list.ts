import { count } from '../text.ts';
import type { Imports } from './imports.ts';

/** A preload list as a file, for `prefork.preloadFrom`. `on`: a date. */
export function renderList({ python, modules }: Imports, { template, on }: { template: string; on: string }): string {
  const head = [
    `# What a bot of template ${template} imports, in the order of its imports: a preload list for prefork.preloadFrom.`,
    `# Recorded on ${on} with Python ${python ?? '(version not known)'}: ${count(modules.length, 'module')}.`,
    `# To record it anew: bunkhouse preload record ${template} --out FILE`,
  ];
  return [...head, ...modules].map((line) => `${line}\n`).join('');
}

/** In what a list and a recording differ. */
export interface Difference {
  /** Imported, and not in the list: each bot has its own copy. */
  readonly missing: readonly string[];
  /** In the list, and not imported: no bot needs it. */
  readonly unused: readonly string[];
}

export function compare({ modules, startup }: Imports, listed: readonly string[]): Difference {
  const known = new Set(listed);
  const imported = new Set([...modules, ...startup]);
  return {
    missing: modules.filter((name) => !known.has(name)),
    unused: [...known].filter((name) => !imported.has(name)),
  };
}
