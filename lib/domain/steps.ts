import type { BotSpec } from './agent.ts';
import type { ContainerObservation, ContainerRecord, NewContainer } from './container.ts';
import { type ReservePhase, type ReservePlace, reserveKey } from './lease.ts';
import type { MigrationPhase } from './migration.ts';
import type { Destination, FallbackReason, MoveCause } from './move.ts';
import type { Placement } from './placement.ts';
import type { State } from './state.ts';

/** Why a container is told about a bot: somebody waits for it, it runs and is to hear of its lease, or the reserve is to have it. */
export type Sake = 'demand' | 'telling' | 'reserve';

/** Arguments of every step: the one table from which the union and the executor table are made. */
export interface StepArgs {
  /** Write the record of a new container into the store, before anything is created. */
  recordContainer: { readonly container: NewContainer };
  /** Claim a slot for a bot, by compare-and-set in the store. */
  assign: { readonly bot: string; readonly placement: Placement };
  /** Let a bot that the pool cannot take have a container of its own. */
  fallBack: { readonly bot: string; readonly reason: FallbackReason; readonly why: string };
  /** Take back a fallback that did not help. */
  rejoinPool: { readonly bot: string };
  /** Ask the driver for a recorded container; idempotent. */
  createContainer: { readonly container: ContainerRecord };
  startContainer: { readonly container: string };
  /** Tell the container about a bot. `blind`: why it might be further elsewhere, should this container know a newer generation than the store; null: every place is seen. */
  applyBot: {
    readonly container: string;
    readonly spec: BotSpec;
    readonly sake: Sake;
    readonly blind: string | null;
  };
  /** Copy a stopped bot's data to the orchestrator's archive and note its name. */
  archiveBot: { readonly container: string; readonly bot: string };
  /** Remove an archived bot from its container, which from then on refuses older commands, and forget it. */
  removeBot: { readonly container: string; readonly bot: string; readonly generation: number };
  /** Put a backup in place of a stopped bot's directory, after what is there was backed up. */
  restoreBot: { readonly container: string; readonly bot: string; readonly generation: number };
  /** Put a bot on its way to another container. */
  beginMove: { readonly bot: string; readonly to: Destination; readonly cause: MoveCause };
  /** Claim the slot that a bot is to move to, beside the one it has. */
  claimPlace: { readonly bot: string; readonly placement: Placement };
  /** Ask a bot for its facts before it is held stopped for its move. */
  askBot: { readonly bot: string };
  /** Hold a bot stopped for its move. `well`: whether it runs well, and has to show that in its new place. */
  leavePlace: { readonly bot: string; readonly well: boolean };
  beginCarrying: { readonly bot: string };
  /** Copy a stopped bot's data to the orchestrator's disk. */
  carryBot: { readonly container: string; readonly bot: string; readonly generation: number };
  /** From now on a bot's other place is its present one. */
  crossOver: { readonly bot: string; readonly generation: number };
  /** Put its data in place where it arrives. */
  arriveBot: { readonly container: string; readonly bot: string; readonly generation: number };
  /** See whether a bot has in its new place what it had before. */
  proveBot: { readonly bot: string };
  /** Take a stopped bot's data, which arrived whole, for the proof. */
  takeForProven: { readonly bot: string };
  undoMove: { readonly bot: string; readonly why: string };
  /** Remove what is left of a bot in its other place, which from then on refuses older commands. */
  clearPlace: { readonly container: string; readonly bot: string; readonly generation: number };
  /** Its other place is gone with everything in it. */
  endMove: { readonly bot: string; readonly container: string };
  /** Containers know a generation that the store does not reach, because an older copy of it was brought back: none is given twice. */
  raiseGeneration: { readonly to: number };
  /** A container knows a bot by a newer generation than the store: it belongs there. */
  followNewest: {
    readonly bot: string;
    readonly placement: Placement;
    readonly generation: number;
    readonly found: ContainerObservation;
  };
  /** Forget a deleted bot that never got a place. */
  forgetBot: { readonly bot: string };
  /** Ask for a restart of an unhealthy bot. */
  restartBot: { readonly bot: string; readonly why: string };
  /** Carry out pause or resume by the template's HTTP call. */
  controlBot: { readonly bot: string; readonly action: 'pause' | 'resume'; readonly generation: number };
  /** Mark a container, so that it is removed: its only bot has gone and left it proven empty, or it cannot be made and nobody waits for it. */
  retireContainer: { readonly container: string };
  /** Stop and remove a container that was found empty, its leftovers archived, before it was marked. */
  removeContainer: { readonly container: string };
  /** Make warm bots, at most so many, and no more than up to the target. */
  addReserve: ReservePlace & { readonly count: number; readonly target: number };
  /** A warm bot was proven well: it may be handed out. */
  admitReady: { readonly bot: string };
  /** A ready bot is not well any more: it has to prove itself again. */
  demoteReady: { readonly bot: string; readonly why: string };
  /** Delete a warm bot that does not get well; others are made only after a while. */
  giveUpWarming: ReservePlace & { readonly bot: string; readonly why: string };
  expireLease: { readonly lease: string; readonly bot: string };
  /** The clock was set: move the times of all leases, so that they last as long as they would have. */
  shiftLeases: { readonly byMs: number };
  /** Drop leases and quotas that are long over. */
  forgetLeases: Record<never, never>;
  /** Clean a stopped bot after a lease; one that cannot be proven clean is discarded. */
  resetBot: {
    readonly container: string;
    /** Where the container's things are. */
    readonly directory: string;
    readonly bot: string;
    readonly generation: number;
  };
  /** Delete a bot of the reserve, with its data, if it is still in that phase. */
  discardBot: { readonly bot: string; readonly phase: ReservePhase; readonly why: string };
  /** Close a container whose bots fit into others of its pool. */
  consolidate: { readonly container: string; readonly bots: number };
  /** They do not fit any more. */
  reopenContainer: { readonly container: string };
  /** No bot of it is on the way any more, and nobody is left to be. */
  endUpgrade: { readonly template: string };
  /** Do what is to be done in that phase of a migration; it leads to the next one. */
  migrate: { readonly bot: string; readonly phase: MigrationPhase };
  /** What a phase of a migration waits for has come. */
  turnMigration: { readonly bot: string; readonly from: MigrationPhase; readonly to: MigrationPhase };
  /** A migration goes back to the old deployment. */
  undoMigration: { readonly bot: string; readonly from: MigrationPhase; readonly why: string };
  /** Forget a container that the driver positively no longer has. */
  forgetContainer: { readonly container: string };
}

export type StepKind = keyof StepArgs;
export type StepOf<K extends StepKind> = { readonly kind: K } & StepArgs[K];
export type Step = { [K in StepKind]: StepOf<K> }[StepKind];

/**
 * What must not be worked on by two steps at once: a bot or a container. Failures and backoff are counted per lane, so one
 * that hangs holds up nobody else.
 */
export function stepLane(step: Step): string {
  switch (step.kind) {
    case 'addReserve':
      return reserveLane(step);
    // Not the lane of its bot, whose trouble must not hold up the end of the lease.
    case 'expireLease':
      return leaseLane(step.lease);
    case 'shiftLeases':
    case 'forgetLeases':
      return LEASES_LANE;
    case 'raiseGeneration':
      return GENERATION_LANE;
    case 'endUpgrade':
      return upgradeLane(step.template);
    case 'recordContainer':
    case 'createContainer':
      return containerLane(step.container.name);
    case 'startContainer':
    case 'retireContainer':
    case 'removeContainer':
    case 'forgetContainer':
    case 'consolidate':
    case 'reopenContainer':
      return containerLane(step.container);
    // Not the lane of its bot, which is being restored or deleted meanwhile.
    case 'migrate':
    case 'turnMigration':
    case 'undoMigration':
      return migrationLane(step.bot);
    case 'assign':
    case 'fallBack':
    case 'rejoinPool':
    case 'beginMove':
    case 'claimPlace':
    case 'askBot':
    case 'leavePlace':
    case 'beginCarrying':
    case 'carryBot':
    case 'crossOver':
    case 'arriveBot':
    case 'proveBot':
    case 'takeForProven':
    case 'undoMove':
    case 'clearPlace':
    case 'endMove':
    case 'followNewest':
    case 'applyBot':
    case 'archiveBot':
    case 'removeBot':
    case 'forgetBot':
    case 'restartBot':
    case 'controlBot':
    case 'admitReady':
    case 'demoteReady':
    case 'giveUpWarming':
    case 'resetBot':
    case 'discardBot':
    case 'restoreBot':
      return botLane('spec' in step ? step.spec.bot : step.bot);
  }
}

export const containerLane = (name: string): string => `container ${name}`;
export const reserveLane = (place: ReservePlace): string => `reserve ${reserveKey(place)}`;
export const leaseLane = (id: string): string => `lease ${id}`;
export const upgradeLane = (template: string): string => `upgrade ${template}`;
export const LEASES_LANE = 'leases';
export const GENERATION_LANE = 'generation';
export const migrationLane = (instanceId: string): string => `migration ${instanceId}`;
export const botLane = (instanceId: string): string => `bot ${instanceId}`;

/** Which container a step may have changed. */
export function stepContainer(step: Step, bots: State['bots']): string | null {
  if (step.kind === 'followNewest') return step.placement.container;
  if ('container' in step) return typeof step.container === 'string' ? step.container : step.container.name;
  if (!('bot' in step)) return null;
  return bots.get(step.bot)?.placement?.container ?? null;
}

const STORE_STEPS: ReadonlySet<StepKind> = new Set([
  'recordContainer',
  'assign',
  'fallBack',
  'rejoinPool',
  'beginMove',
  'claimPlace',
  'leavePlace',
  'beginCarrying',
  'crossOver',
  'takeForProven',
  'undoMove',
  'endMove',
  'raiseGeneration',
  'followNewest',
  'forgetBot',
  'retireContainer',
  'forgetContainer',
  'restartBot',
  'addReserve',
  'admitReady',
  'demoteReady',
  'giveUpWarming',
  'expireLease',
  'shiftLeases',
  'forgetLeases',
  'discardBot',
  'consolidate',
  'reopenContainer',
  'endUpgrade',
  'turnMigration',
  'undoMigration',
]);

/** Steps that only change the store: quick, and done in the order of the plan before anything else. */
export function isStoreStep(step: Step): boolean {
  return STORE_STEPS.has(step.kind);
}
