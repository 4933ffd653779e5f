import type { Spawn } from './agent.ts';

/** Kinds of reasons for which a bot was executed although its template wants it forked: few, so that they can be counted. */
export const FALLBACKS = ['switched-off', 'variable', 'python', 'zygote', 'other'] as const;
export type Fallback = (typeof FALLBACKS)[number];

/** Words of the plugin's reasons (recipe.py and zygotes.py). */
const WORDS: Readonly<Record<Exclude<Fallback, 'other'>, readonly string[]>> = {
  'switched-off': ['switched off for this bot'],
  variable: ['works only at the start of Python'],
  python: ['the zygote would under', 'is not found in PATH'],
  zygote: ['the zygote is not there'],
};

/** Null: forked, or nobody wanted it to be. */
export function fallbackOf(spawn: Spawn | null): Fallback | null {
  if (spawn === null || spawn.kind === 'prefork' || spawn.reason === '') return null;
  return (
    FALLBACKS.find((kind) => kind !== 'other' && WORDS[kind].some((word) => spawn.reason.includes(word))) ?? 'other'
  );
}
