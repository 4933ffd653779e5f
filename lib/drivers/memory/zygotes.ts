import { createHash } from 'node:crypto';
import type { ZygoteObservation } from '../../domain/agent.ts';
import type { Prefork } from '../../domain/template.ts';
import type { MemoryBot } from './bot.ts';

const MIB = 1 << 20;

/** The make-believe zygotes that these bots would have: one for each prefork. */
export function zygotesOf(bots: readonly MemoryBot[], trouble: string): ZygoteObservation[] {
  const byKey = Map.groupBy(
    bots.filter(({ spec }) => spec.prefork !== null),
    ({ spec }) => keyOf(spec.prefork),
  );
  return [...byKey].map(([key, some]) => zygoteOf(key, some, trouble));
}

// Private

function zygoteOf(key: string, bots: readonly MemoryBot[], trouble: string): ZygoteObservation {
  const { prefork } = bots[0]?.spec ?? {};
  const ready = trouble === '';
  return {
    key,
    state: ready ? 'ready' : 'failed',
    pid: ready ? 1 : null,
    reason: trouble,
    python: ready ? '3.13.0' : '',
    modules: ready ? (prefork?.preload.length ?? 0) : 0,
    immortal: ready && prefork?.immortal === true,
    merge: ready && prefork?.merge === true,
    notes: [],
    starts: 1,
    forks: bots.filter((bot) => bot.observe().spawn?.kind === 'prefork').length,
    memory: ready
      ? { pssBytes: 60 * MIB, rssBytes: 150 * MIB, privateBytes: 10 * MIB, sharedBytes: 140 * MIB, swapBytes: 0 }
      : null,
  };
}

const keyOf = (prefork: Prefork | null): string =>
  createHash('sha256').update(JSON.stringify(prefork)).digest('hex').slice(0, 12);
