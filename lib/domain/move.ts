import type { Placement } from './placement.ts';

/**
 * How far a move has come; each phase is durable before anything of it is done, and may be repeated.
 * `preparing`: it goes on where it is, while a slot elsewhere is claimed and made ready; then it is asked for its facts.
 * `leaving`: held stopped where it is, until it is seen stopped there. `carrying`: its data is copied to the orchestrator's disk.
 * `arriving`: its placement is the new one; held stopped while its data is put in place there. `proving`: it runs in the new place
 * and has to show that it is well and has all it had. `clearing`: what there is of it in its other place is removed.
 */
export const MOVE_PHASES = ['preparing', 'leaving', 'carrying', 'arriving', 'proving', 'clearing'] as const;
export type MovePhase = (typeof MOVE_PHASES)[number];

export type Destination =
  /** Any shared container of its pool that is not being emptied, except where it is. */
  | { readonly kind: 'pool' }
  | { readonly kind: 'container'; readonly container: string }
  /** A container of its own. */
  | { readonly kind: 'alone' }
  | { readonly kind: 'location'; readonly location: string };

export type MoveCause =
  | { readonly kind: 'request' }
  | { readonly kind: 'drain'; readonly container: string }
  | { readonly kind: 'upgrade'; readonly template: string }
  | { readonly kind: 'consolidate'; readonly container: string };

/** A place of a bot: its slot, and what its record says of it there. */
export interface Place {
  readonly placement: Placement;
  readonly location: string;
  readonly legacy: LegacyLife | null;
}

/**
 * A bot on its way from one container to another. It runs in one of them at the most, at any moment.
 * Where its newest data is, its generation is the highest that any container knows: its other place knows one less at the most.
 */
export interface Move {
  readonly to: Destination;
  readonly cause: MoveCause;
  readonly phase: MovePhase;
  /** Its place besides `placement`: where it is to go, and from `arriving` on where it came from. Null: none is claimed yet. */
  readonly other: Place | null;
  /** Id of its data on the orchestrator's disk, once that is whole. */
  readonly archive: string | null;
  /** What it said of itself before it was stopped, to be found again; null: it did not run well then, and is proven by its data. */
  readonly facts: Readonly<Record<string, string>> | null;
  /** Set when it goes back to where it was: why the move failed. */
  readonly undone: string | null;
  /** ISO 8601, UTC: when it was stopped for this; null while it was not. */
  readonly left: string | null;
  /** ISO 8601, UTC: of the present phase. */
  readonly since: string;
}

/**
 * What kept the pool from taking a bot. `ports`: no free ones for a whole container; `image`: the pool's is not there; `container`: it
 * could not be made.
 */
export type FallbackReason = 'ports' | 'image' | 'container';

/** A bot in a container of its own. */
export interface LegacyLife {
  /** `asked`: by its owner, its template or the settings. `fallback`: the pool could not take it. */
  readonly cause: 'asked' | 'fallback';
  readonly why: string;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/** Phases in which the bot is held stopped. */
const STILL: ReadonlySet<MovePhase> = new Set(['leaving', 'carrying', 'arriving']);

/** Whether a bot on that move is held stopped. */
export function isHeldStill(move: Move | null): boolean {
  return move !== null && STILL.has(move.phase);
}

export function isSameDestination(a: Destination, b: Destination): boolean {
  const target = (to: Destination): string => ('container' in to ? to.container : 'location' in to ? to.location : '');
  return a.kind === b.kind && target(a) === target(b);
}
