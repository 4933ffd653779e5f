import type { ReservePlace } from '../domain/lease.ts';
import type { StepArgs, StepKind } from '../domain/steps.ts';
import type { Rush } from '../util/rush.ts';
import type { SteadyClock } from '../util/steady-clock.ts';
import type { Agents } from './agents.ts';
import type { Dependencies } from './dependencies.ts';
import type { ReserveTargets } from './reserve-targets.ts';

/** One for each kind of step. Every one may be broken off anywhere and done again. */
export type Executors = { readonly [K in StepKind]: (args: StepArgs[K]) => Promise<void> };

export interface ApplyContext extends Dependencies {
  readonly agents: Agents;
  /** Ports somebody outside holds: not to be tried again for a while. */
  readonly blockPorts: (ports: readonly number[]) => void;
  /** Leases end by it. */
  readonly leaseClock: SteadyClock;
  /** Those who wait for a lease. */
  readonly rush: Pick<Rush, 'over'>;
  readonly reserves: Pick<ReserveTargets, 'noteBatch' | 'noteWell' | 'noteUnwell'>;
  /** A bot may be handed out from now on. */
  readonly noteReady: (place: ReservePlace, bot: string) => void;
  readonly noteRestart: (bot: string) => void;
  /** Address at which the bot is reached. Throws BOT_UNAVAILABLE. */
  readonly addressOf: (bot: string) => { readonly host: string; readonly port: number };
}
