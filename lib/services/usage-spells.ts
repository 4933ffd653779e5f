import { endOf, hourOf, type Period, type Usage } from '../domain/usage.ts';

/** Usage evenly spread over the seconds before `end` (ms since the epoch). */
export interface Spell {
  readonly end: number;
  readonly seconds: number;
  readonly usage: Usage;
}

/** The parts of a spell by the hours they lie in. */
export function byHour({ end, seconds, usage }: Spell): readonly { readonly period: Period; readonly usage: Usage }[] {
  const begin = end - seconds * 1000;
  const parts: { period: Period; usage: Usage }[] = [];
  for (let at = begin, until = begin; until < end; at = until) {
    const period = hourOf(at);
    until = Math.min(end, endOf(period));
    parts.push({ period, usage: scale(usage, (until - at) / (end - begin)) });
  }
  // A moment too short to be measured may still have cost something.
  return parts.length > 0 ? parts : [{ period: hourOf(end), usage }];
}

function scale({ runningSeconds, pssByteSeconds, cpuSeconds }: Usage, share: number): Usage {
  return {
    runningSeconds: runningSeconds * share,
    pssByteSeconds: pssByteSeconds * share,
    cpuSeconds: cpuSeconds * share,
  };
}
