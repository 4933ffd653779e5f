import type { AgentObservation, MemorySample } from '../domain/agent.ts';

const NOTHING: MemorySample = { pssBytes: 0, rssBytes: 0, privateBytes: 0, sharedBytes: 0, swapBytes: 0 };

/** Sum of what was sampled so far; null before the first sample. */
export function sumMemory(samples: readonly (MemorySample | null)[]): MemorySample | null {
  const known = samples.filter((sample) => sample !== null);
  return known.length === 0 ? null : known.reduce(add, NOTHING);
}

/** Everything in a container: supervisord, zygotes, services and bots. */
export function containerMemory({ overhead, zygotes, services, bots }: AgentObservation): MemorySample | null {
  return sumMemory([overhead, ...[...zygotes, ...services, ...bots].map(({ memory }) => memory)]);
}

function add(sum: MemorySample, more: MemorySample): MemorySample {
  return {
    pssBytes: sum.pssBytes + more.pssBytes,
    rssBytes: sum.rssBytes + more.rssBytes,
    privateBytes: sum.privateBytes + more.privateBytes,
    sharedBytes: sum.sharedBytes + more.sharedBytes,
    swapBytes: sum.swapBytes + more.swapBytes,
  };
}
