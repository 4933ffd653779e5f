import type { BotSpec } from './agent.ts';
import type { Placement } from './bot.ts';
import type { ContainerRecord } from './container.ts';

/** Arguments of every step: the one table from which the union and the executor table are made. */
export interface StepArgs {
  /** Write the record of a new container into the store, before anything is created. */
  recordContainer: { readonly container: ContainerRecord };
  /** Claim a slot for a bot, by compare-and-set in the store. */
  assign: { readonly bot: string; readonly placement: Placement };
  /** Ask the driver for a recorded container; idempotent. */
  createContainer: { readonly container: ContainerRecord };
  startContainer: { readonly container: string };
  /** Tell the container about a bot. */
  applyBot: { readonly container: string; readonly spec: BotSpec };
  /** Copy a stopped bot's data to the orchestrator's archive and note its name. */
  archiveBot: { readonly container: string; readonly bot: string };
  /** Remove an archived bot from its container. */
  removeBot: { readonly container: string; readonly bot: string; readonly generation: number };
  /** Forget a deleted bot. */
  forgetBot: { readonly bot: string };
  /** Ask for a restart of an unhealthy bot. */
  restartBot: { readonly bot: string; readonly why: string };
  /** Carry out pause or resume by the template's HTTP call. */
  controlBot: { readonly bot: string; readonly action: 'pause' | 'resume'; readonly since: number };
  /** Stop, archive what is left in it and remove an empty container. */
  removeContainer: { readonly container: string };
  /** Forget a container that the driver positively no longer has. */
  forgetContainer: { readonly container: string };
}

export type StepKind = keyof StepArgs;
export type Step = { [K in StepKind]: { readonly kind: K } & StepArgs[K] }[StepKind];

/** What a step is about, for order (one container's steps run one after the other), backoff and messages. */
export function stepTarget(step: Step): string {
  switch (step.kind) {
    case 'recordContainer':
    case 'createContainer':
      return step.container.name;
    case 'assign':
      return step.placement.container;
    case 'applyBot':
    case 'archiveBot':
    case 'removeBot':
    case 'startContainer':
    case 'removeContainer':
    case 'forgetContainer':
      return step.container;
    case 'forgetBot':
    case 'restartBot':
    case 'controlBot':
      return step.bot;
  }
}
