import type { ProcessState } from './agent.ts';
import type { BotState, Desired } from './bot.ts';
import type { Emptying } from './container.ts';
import type { LeaseEnd } from './lease.ts';
import type { MigrationPhase } from './migration.ts';
import type { Destination, FallbackReason } from './move.ts';
import type { UpgradeStatus } from './upgrade.ts';

/** Everything that happens, as one union. Ids and facts only: never a secret. */
export type BunkhouseEvent =
  | { readonly type: 'bot.created'; readonly bot: string; readonly owner: string; readonly template: string }
  | {
      readonly type: 'bot.placed';
      readonly bot: string;
      readonly container: string;
      readonly slot: number;
      readonly port: number;
    }
  /** It gets a container of its own, because the pool could not take it. */
  | {
      readonly type: 'bot.fallback';
      readonly bot: string;
      readonly template: string;
      readonly reason: FallbackReason;
      readonly why: string;
    }
  /** It could have no container of its own, and the pool has room for it again. */
  | { readonly type: 'bot.rejoined'; readonly bot: string }
  | { readonly type: 'bot.desired'; readonly bot: string; readonly desired: Desired }
  | { readonly type: 'bot.changed'; readonly bot: string }
  | {
      readonly type: 'bot.state';
      readonly bot: string;
      readonly from: BotState | null;
      readonly to: BotState;
      readonly reason: string;
    }
  | { readonly type: 'bot.restarted'; readonly bot: string; readonly why: string }
  | { readonly type: 'bot.archived'; readonly bot: string; readonly archive: string }
  | { readonly type: 'bot.backup'; readonly bot: string; readonly backup: string; readonly good: boolean }
  | { readonly type: 'bot.backup-failed'; readonly bot: string; readonly why: string; readonly retryInSeconds: number }
  | { readonly type: 'bot.restoring'; readonly bot: string; readonly backup: string }
  | { readonly type: 'bot.restored'; readonly bot: string; readonly backup: string; readonly kept: string | null }
  /** `why` says what the bot goes on with. */
  | { readonly type: 'bot.restore-failed'; readonly bot: string; readonly backup: string; readonly why: string }
  | { readonly type: 'bot.moving'; readonly bot: string; readonly to: Destination }
  /** It is proven in its new place. `awaySeconds`: how long it did not run for it; null: it was not to run. */
  | {
      readonly type: 'bot.moved';
      readonly bot: string;
      readonly from: string;
      readonly container: string;
      readonly awaySeconds: number | null;
    }
  /** It goes on where it was. */
  | { readonly type: 'bot.move-failed'; readonly bot: string; readonly container: string; readonly why: string }
  | {
      readonly type: 'migration.phase';
      readonly bot: string;
      readonly from: MigrationPhase;
      readonly to: MigrationPhase;
      /** Why it goes back; empty otherwise. */
      readonly why: string;
    }
  /** An old deployment lives beside its bot, or may: it was stopped again, or somebody has to. */
  | {
      readonly type: 'migration.revenant';
      readonly bot: string;
      readonly container: string;
      readonly stopped: boolean;
    }
  | { readonly type: 'bot.deleted'; readonly bot: string; readonly archive: string | null }
  | {
      readonly type: 'lease.acquired';
      readonly lease: string;
      readonly bot: string;
      readonly template: string;
      readonly location: string;
      readonly expiresAt: string;
      readonly fromPool: boolean;
      readonly fence: number;
    }
  | { readonly type: 'lease.extended'; readonly lease: string; readonly bot: string; readonly expiresAt: string }
  | {
      readonly type: 'lease.ended';
      readonly lease: string;
      readonly bot: string;
      readonly template: string;
      readonly how: LeaseEnd['how'];
    }
  | {
      readonly type: 'reserve.refill';
      readonly template: string;
      readonly location: string;
      readonly count: number;
    }
  | { readonly type: 'reserve.ready'; readonly bot: string }
  | { readonly type: 'reserve.unwell'; readonly bot: string; readonly why: string }
  | { readonly type: 'reserve.clean'; readonly bot: string }
  | { readonly type: 'reserve.discarded'; readonly bot: string; readonly why: string }
  | { readonly type: 'container.emptying'; readonly container: string; readonly why: Emptying['why'] }
  | { readonly type: 'container.opened'; readonly container: string }
  | {
      readonly type: 'upgrade.changed';
      readonly template: string;
      readonly status: UpgradeStatus;
      readonly moved: number;
      readonly failures: number;
    }
  | { readonly type: 'container.created'; readonly container: string; readonly pool: string }
  | { readonly type: 'container.started'; readonly container: string }
  | { readonly type: 'container.lost'; readonly container: string; readonly reason: string }
  | { readonly type: 'container.removed'; readonly container: string }
  | {
      readonly type: 'service.state';
      readonly container: string;
      readonly service: string;
      readonly from: ProcessState | null;
      readonly to: ProcessState;
      readonly reason: string;
    }
  | {
      readonly type: 'step.failed';
      readonly step: string;
      readonly target: string;
      readonly code: string;
      readonly message: string;
      readonly retryInSeconds: number;
    }
  | {
      readonly type: 'sweep';
      readonly containers: number;
      readonly bots: number;
      readonly issues: number;
      readonly durationMs: number;
    }
  /** Only in a reader's stream: events before the next one were not kept for it; read the state anew. */
  | { readonly type: 'gap' };

/** An event with its place in the stream. `id` grows by one; `at` is ISO 8601 UTC. `bot` events carry the owner for filtering. */
export interface StampedEvent {
  readonly id: number;
  readonly at: string;
  readonly owner: string | null;
  readonly event: BunkhouseEvent;
}
