import type { BotRecord } from '../../lib/domain/bot.ts';
import type { LeaseRecord, ReservePhase } from '../../lib/domain/lease.ts';
import type { State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { aBot, aState, NOW } from '../planner/builders.ts';

/** A moment as records have it, so many seconds from the time tests begin at. */
export const moment = (seconds: number): string => new Date(NOW + seconds * 1000).toISOString();

/** Of a minute from `NOW` on. */
export function aLease(id: string, facts: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    id,
    bot: `bot-of-${id}`,
    template: 'echo',
    location: 'local',
    owner: 'alice',
    createdAt: moment(0),
    expiresAt: moment(60),
    ttlSeconds: 60,
    fromPool: true,
    fence: 1,
    end: null,
    ...facts,
  };
}

/** A bot of the reserve; one that is `assigned` is on the lease of that name. */
export function aMember(id: string, phase: ReservePhase, facts: Partial<BotRecord> = {}, since = 0): BotRecord {
  const lease = phase === 'warming' || phase === 'ready' ? null : `lease-of-${id}`;
  const owner = phase === 'assigned' ? 'alice' : 'pool';
  return aBot(id, { owner, reserve: { phase, lease, since: moment(since), served: 0 }, ...facts });
}

export function withLeases(bots: readonly BotRecord[], leases: readonly LeaseRecord[]): State {
  return { ...aState(bots), leases: Table.from(leases.map((lease) => [lease.id, lease])) };
}
