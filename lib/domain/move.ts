import type { Placement } from './placement.ts';

/**
 * How far a move has come; each phase is durable before anything of it is done, and may be repeated.
 * `leaving`: held stopped where it is, until it is seen stopped there. `carrying`: its data is copied to the orchestrator's disk.
 * `arriving`: its placement is the new one; held stopped while its data is put in place there. `proving`: it runs in the new place
 * and has to show that it is well and has all it had. `clearing`: what it left in its old place is removed.
 */
export const MOVE_PHASES = ['leaving', 'carrying', 'arriving', 'proving', 'clearing'] as const;
export type MovePhase = (typeof MOVE_PHASES)[number];

export type Destination =
  /** Any container of its pool that is not being emptied, except where it is. */
  | { readonly kind: 'pool' }
  | { readonly kind: 'container'; readonly container: string }
  /** A container of its own. */
  | { readonly kind: 'alone' }
  | { readonly kind: 'location'; readonly location: string };

export type MoveCause =
  | { readonly kind: 'request' }
  | { readonly kind: 'drain'; readonly container: string }
  | { readonly kind: 'upgrade'; readonly template: string };

/** Where a bot was before its move, kept for it until the move is over: its slot, its data, and what its record said. */
export interface Origin {
  readonly placement: Placement;
  readonly location: string;
  readonly legacy: LegacyLife | null;
}

/** A bot on its way from one container to another. It runs in one of them at the most, at any moment. */
export interface Move {
  readonly to: Destination;
  readonly cause: MoveCause;
  readonly phase: MovePhase;
  /** Set with `arriving`. */
  readonly from: Origin | null;
  /** Its data on the orchestrator's disk, once that is whole. */
  readonly archive: string | null;
  /** What the template's check found before it was stopped, to be found again: open trades, the last trade. */
  readonly facts: Readonly<Record<string, string>>;
  /** Set when it goes back to where it was: why the move failed. */
  readonly undone: string | null;
  /** ISO 8601, UTC: of the present phase. */
  readonly since: string;
}

/** A bot in a container of its own. */
export interface LegacyLife {
  /** `asked`: by its owner, its template or the settings. `fallback`: the pool could not take it. */
  readonly cause: 'asked' | 'fallback';
  readonly why: string;
  /** ISO 8601, UTC. */
  readonly since: string;
}
