import type { BotObservation } from '../domain/agent.ts';
import type { ProcessReading, Reading } from '../domain/usage.ts';
import type { Spell } from './usage-spells.ts';

/** A look at a bot. */
export interface Look {
  readonly owner: string;
  readonly container: string;
  /** Ms since the epoch. */
  readonly at: number;
  /** Since the reading before; measured by a clock that is not set, where there is one that spans it. */
  readonly elapsedSeconds: number;
  /** For a bot without a reading: what it used before this (ms since the epoch) is not to be counted. */
  readonly countFrom: number;
  readonly observed: BotObservation;
}

/** What somebody's bot used. */
export interface OwnedSpell extends Spell {
  readonly owner: string;
}

/**
 * What a bot used between two looks. The same process ran all the time, however long nobody looked. Of another one, what
 * it says of its start and of the exit before is counted; what nobody can know is not. A process that was there before is
 * its owner's of that time: a bot that is handed out or given back is looked at at once, and its process ends with a lease.
 */
export function follow(
  before: Reading | null,
  look: Look,
): { readonly spells: readonly OwnedSpell[]; readonly now: Reading } {
  const { owner, container, at, observed } = look;
  const old = before?.process ?? null;
  const process = processOf(observed, old);
  const now = { owner, container, at, restarts: observed.restarts, process };
  if (old !== null && process !== null && isSame(old, process)) {
    return { spells: [{ owner: before?.owner ?? owner, ...whileAlive(old, process, look) }], now };
  }
  const lived = process === null ? null : sinceStart(before, process, look);
  const tail = before === null || old === null ? null : untilExit(before, old, look, lived?.seconds ?? 0);
  const spells = [
    tail === null ? null : { owner: before?.owner ?? owner, ...tail },
    lived === null ? null : { owner, ...lived },
  ];
  return { spells: spells.filter((spell) => spell !== null), now };
}

// Private

/** What was not measured this time is as it was. */
function processOf(
  { pid, startedAt, cpuSeconds, memory }: BotObservation,
  old: ProcessReading | null,
): Reading['process'] {
  if (pid === null || startedAt === null) return null;
  const same = old !== null && isSame(old, { pid, startedAt }) ? old : null;
  return {
    pid,
    startedAt,
    cpuSeconds: cpuSeconds ?? same?.cpuSeconds ?? 0,
    pssBytes: memory?.pssBytes ?? same?.pssBytes ?? null,
  };
}

type Identity = Pick<ProcessReading, 'pid' | 'startedAt'>;

const isSame = (one: Identity, other: Identity): boolean => one.pid === other.pid && one.startedAt === other.startedAt;

function whileAlive(before: ProcessReading, now: ProcessReading, { at, elapsedSeconds }: Look): Spell {
  const first = before.pssBytes ?? now.pssBytes ?? 0;
  const last = now.pssBytes ?? first;
  // A child of the bot that ended takes its part of the sum along: that is no negative use.
  return spell(at, elapsedSeconds, (first + last) / 2, Math.max(0, now.cpuSeconds - before.cpuSeconds));
}

/** A process that was not there at the look before. One never looked at before may be older than what is to be counted. */
function sinceStart(before: Reading | null, alive: ProcessReading, { at, elapsedSeconds, countFrom }: Look): Spell {
  const age = Math.max(0, at / 1000 - alive.startedAt);
  const pss = alive.pssBytes ?? 0;
  if (before !== null) return spell(at, Math.min(age, elapsedSeconds), pss, alive.cpuSeconds);
  const seconds = Math.min(age, Math.max(0, (at - countFrom) / 1000));
  return spell(at, seconds, pss, age === 0 ? alive.cpuSeconds : (alive.cpuSeconds * seconds) / age);
}

/** From the last look at a process to its exit, when it is the exit we are told of and not that of one in between. */
function untilExit(before: Reading, process: ProcessReading, look: Look, livedSeconds: number): Spell | null {
  const { lastExit, restarts, pid } = look.observed;
  const started = restarts - before.restarts;
  const isOurs = started === 0 || (started === 1 && pid !== null);
  if (lastExit === null || !isOurs) return null;
  const most = Math.max(0, look.elapsedSeconds - livedSeconds);
  const seconds = Math.min(most, lastExit.at - before.at / 1000);
  if (seconds <= 0) return null;
  const end = look.at - (look.elapsedSeconds - seconds) * 1000;
  return spell(end, seconds, process.pssBytes ?? 0, 0);
}

function spell(end: number, seconds: number, pssBytes: number, cpuSeconds: number): Spell {
  return { end, seconds, usage: { runningSeconds: seconds, pssByteSeconds: pssBytes * seconds, cpuSeconds } };
}
