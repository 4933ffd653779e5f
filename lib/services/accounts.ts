import { messageOf } from '../domain/errors.ts';
import type { World } from '../planner/world.ts';
import type { AloneStore, UsageStore } from '../store/usage-store.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import { AloneSamples } from './alone-samples.ts';
import { writeRegularly } from './regular-writes.ts';
import { UsageLedger } from './usage-ledger.ts';
import type { MeterOptions } from './usage-meter.ts';

export interface AccountsOptions {
  readonly store: UsageStore & AloneStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onUsage: MeterOptions['onUsage'];
}

/** What bots cost: kept, fed with what is observed, and written now and then. */
export interface Accounts {
  readonly usage: UsageLedger;
  readonly alone: AloneSamples;
  /** Takes in a picture of everything. */
  observe(world: World): void;
  /** Writes a last time. */
  close(): Promise<void>;
}

/** Whatever is wrong with the files, bots are looked after: it is logged, and tried again with each write. */
export async function openAccounts({ store, clock, log, onUsage }: AccountsOptions): Promise<Accounts> {
  const usage = new UsageLedger({ store, clock, onUsage });
  const alone = new AloneSamples(store);
  for (const part of [usage, alone]) {
    await part.load().catch((error: unknown) => log.error({ err: error }, `no ${part.what}: ${messageOf(error)}`));
  }
  const writes = writeRegularly([usage, alone], { clock, log });
  return {
    usage,
    alone,
    observe(world) {
      usage.observe(world);
      alone.observe(world);
    },
    close: () => writes.close(),
  };
}
