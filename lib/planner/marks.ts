import type { BotSpec, Marks } from '../domain/agent.ts';
import { LEASE_FILE } from '../domain/lease.ts';
import type { Prefork } from '../domain/template.ts';

/** Parts of a spec that a living process gets only by a restart. */
const BY_RESTART = ['command', 'env', 'directories', 'files', 'readiness', 'prefork', 'services', 'rlimits'] as const;
/** Parts that are taken without one. */
const AT_ONCE = ['stop', 'backoff', 'ceilings'] as const;

type Part = Exclude<(typeof BY_RESTART)[number] | (typeof AT_ONCE)[number], 'prefork'>;

/** Tells the parts of a spec from those of another: its container repeats what a process was started with. */
export function marksOf(spec: Omit<BotSpec, 'marks'>): Marks {
  const parts = Object.entries(partsOf(spec)).map(([part, value]) => [part, hash(JSON.stringify(value))]);
  return { ...Object.fromEntries(parts), prefork: hashOf(spec.prefork) };
}

export interface Difference {
  /** Parts that only a restart brings. */
  readonly byRestart: readonly string[];
  /** Parts that are brought without one. */
  readonly atOnce: readonly string[];
}

/** What a process that was started with `before` has not of `now`. */
export function differenceOf(before: Marks, now: Marks): Difference {
  const differ = (parts: readonly string[]): string[] => parts.filter((part) => before[part] !== now[part]);
  return { byRestart: differ(BY_RESTART), atOnce: differ(AT_ONCE) };
}

// Private

/** Files that are there already are not written again; the lease is told without a restart. */
function partsOf({ limits, ...spec }: Omit<BotSpec, 'marks'>): Record<Part, unknown> {
  const { command, env, directories, files, readiness, services, stop, backoff } = spec;
  const { pssBytes, diskBytes, cpuWeight, ...rlimits } = limits;
  return {
    command,
    env: Object.entries(env).sort(),
    directories,
    files: files.filter(({ path, when }) => when === 'always' && path !== LEASE_FILE),
    readiness,
    services,
    rlimits,
    stop,
    backoff,
    ceilings: { pssBytes, diskBytes, cpuWeight },
  };
}

/** Of thousands of names that are the same for all bots of a template. */
const PREFORKS = new WeakMap<Prefork, string>();

function hashOf(prefork: Prefork | null): string {
  if (prefork === null) return '';
  const known = PREFORKS.get(prefork) ?? hash(JSON.stringify(prefork));
  PREFORKS.set(prefork, known);
  return known;
}

/** 53 bits, as text (cyrb53, in the public domain): not against somebody who wants two to be equal. */
function hash(text: string): string {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}
