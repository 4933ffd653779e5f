import { BunkhouseError } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import { addUsage, NO_USAGE, Tally, type Usage, type UsageEntry } from '../domain/usage.ts';
import { type Clock, isoTime } from '../util/clock.ts';
import type { UsageApi, UsageRow } from './usage-api.ts';
import type { UsageLedger } from './usage-ledger.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** What the ledger says, for those who may know. */
export function createUsageApi(ledger: UsageLedger, clock: Clock): UsageApi {
  return {
    async usage(actor, { to = clock.now(), from = to - DAY_MS, owner, by }) {
      if (from >= to) throw new BunkhouseError('INVALID', `from (${isoTime(from)}) must be before to (${isoTime(to)})`);
      const whose = visibleOwner(actor, owner);
      const account = await ledger.account(from, to);
      const entries = account.entries.filter((entry) => whose === undefined || entry.owner === whose);
      return {
        from: isoTime(account.from),
        to: isoTime(account.to),
        by,
        usage: (by === 'bot' ? entries.map(rowOfBot) : rowsOfOwners(entries)).sort(inOrder),
        total: rounded(entries.reduce((sum, { usage }) => addUsage(sum, usage), NO_USAGE)),
      };
    },
  };
}

// Private

function visibleOwner(actor: Actor, owner: string | undefined): string | undefined {
  if (actor.role === 'admin') return owner;
  if (owner === undefined || owner === actor.owner) return actor.owner;
  throw new BunkhouseError('FORBIDDEN', 'only an administrator may see what others use');
}

const rowOfBot = ({ owner, bot, usage }: UsageEntry): UsageRow => ({ owner, instanceId: bot, ...rounded(usage) });

function rowsOfOwners(entries: readonly UsageEntry[]): UsageRow[] {
  const sums = new Tally(entries.map((entry) => ({ ...entry, bot: '' }))).entries;
  return sums.map(({ owner, usage }) => ({ owner, instanceId: null, ...rounded(usage) }));
}

/** As files keep it: milliseconds and bytes. */
function rounded({ runningSeconds, pssByteSeconds, cpuSeconds }: Usage): Usage {
  return {
    runningSeconds: Math.round(runningSeconds * 1000) / 1000,
    pssByteSeconds: Math.round(pssByteSeconds),
    cpuSeconds: Math.round(cpuSeconds * 1000) / 1000,
  };
}

function inOrder(one: UsageRow, other: UsageRow): number {
  return compare(one.owner, other.owner) || compare(one.instanceId ?? '', other.instanceId ?? '');
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
