import { poolLocation } from '../domain/bot.ts';
import type { ContainerRecord } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';

export interface Homes {
  /** What the state says. Null or empty: nothing. */
  readonly known: string | null;
  /** Where this process has its containers. Empty: not to be said, and what is known is to be forgotten. */
  readonly home: string;
  /** Locations for which the state has containers. */
  readonly occupied: ReadonlySet<string>;
  /** Names the state, for messages. */
  readonly state: string;
}

/**
 * What the state is to say from now on about where its containers are. Throws CONFLICT when this process would have them
 * elsewhere: one that cannot see the containers would make them a second time, and every bot with them. Where nothing is,
 * nothing can be doubled.
 */
export function settleHome({ known, home, occupied, state }: Homes): string {
  if (home === '') return '';
  const before = lived(placesOf(known ?? ''), occupied);
  if (before.size === 0) return home;
  const now = placesOf(home);
  if (isSame(before, now)) return before.has('') || now.has('') ? home : homeText(new Map([...before, ...now]));
  throw new BunkhouseError(
    'CONFLICT',
    `The state at ${state} tells of containers of ${homeText(before)}, and this process would run them on ${home}: bots would run twice. ` +
      'Go back to the settings and the machine it had. When nothing of it runs there any more: `bunkhouse state rehome`; ' +
      'to begin anew, delete its bots there first.',
    { details: { known: homeText(before), home } },
  );
}

/** Locations that containers are recorded for. */
export function occupiedBy(containers: Iterable<Pick<ContainerRecord, 'pool'>>): ReadonlySet<string> {
  return new Set([...containers].map(({ pool }) => poolLocation(pool)));
}

/** Where containers are, as text: a place, or several with the names they go by, `NAME: PLACE; NAME: PLACE`. */
export function homeText(places: ReadonlyMap<string, string>): string {
  return [...places].map(([name, place]) => (name === '' ? place : `${name}: ${place}`)).join('; ');
}

// Private

/** The names that both have must mean the same; a place without a name must be among the others. */
function isSame(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): boolean {
  for (const [one, other] of [
    [before, now],
    [now, before],
  ] as const) {
    const unnamed = one.get('');
    if (unnamed !== undefined) return [...other.values()].includes(unnamed);
  }
  return [...before].every(([name, place]) => (now.get(name) ?? place) === place);
}

/** Places at which there is something. */
function lived(places: ReadonlyMap<string, string>, occupied: ReadonlySet<string>): ReadonlyMap<string, string> {
  return new Map([...places].filter(([name]) => (name === '' ? occupied.size > 0 : occupied.has(name))));
}

/** By name; one without a name by the empty one. */
function placesOf(text: string): ReadonlyMap<string, string> {
  if (text === '') return new Map();
  const parts = text.split('; ').map((part) => /^([a-z0-9][a-z0-9-]{0,30}): (.*)$/.exec(part));
  if (parts.includes(null)) return new Map([['', text]]);
  return new Map(parts.map((part) => [part?.[1] ?? '', part?.[2] ?? '']));
}
