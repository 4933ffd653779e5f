import type { BotRecord } from '../domain/bot.ts';
import { closedContainers } from '../domain/container.ts';
import { isStale, isWaiting, type ReserveLife, type ReservePlace, reserveKey } from '../domain/lease.ts';
import { reserveLane, type Step } from '../domain/steps.ts';
import { deriveState } from './bot-state.ts';
import { type Held, joinPlans, NOTHING, type Plan, type ReserveTarget, type World } from './world.ts';

/** A bot that the pool may hand out, or has. */
export type Member = BotRecord & { readonly reserve: ReserveLife };

/** More ready bots than wanted stay so long, for demand comes in waves and making one takes more than keeping it. */
const UNWANTED_MS = 600_000;

const EMPTIED = 'its container is being emptied';

/** Of a template that is not handed out on lease any more, or of a location without a reserve. */
const UNWANTED = { target: 0, min: 0, max: 0, batchSize: 1, notBefore: 0, why: '', refilling: false };

/** Makes warm bots where some are missing, a batch at a time, and lets go of those nobody wanted for long. */
export function planRefill(world: World): Plan {
  const members = world.state.bots.records.filter(isOfReserve);
  const closed = closedContainers(world.state.containers);
  const byKey = Map.groupBy(members, reserveKey);
  const made = new Map([...Map.groupBy(members, ({ template }) => template)].map(([name, all]) => [name, all.length]));
  const dropped = [...byKey.values()].flatMap(([bot]) => (bot !== undefined && isDropped(world, bot) ? [bot] : []));
  const targets = [
    ...world.reserves.values(),
    ...dropped.map(({ template, location }) => ({ ...UNWANTED, template, location })),
  ];
  return joinPlans(
    targets.map((wanted) => {
      const room = wanted.max - (made.get(wanted.template) ?? 0);
      return refill(world, wanted, sort(byKey.get(reserveKey(wanted)) ?? [], closed), room);
    }),
  );
}

// Private

const isOfReserve = (bot: BotRecord): bot is Member => bot.reserve !== null;

/** A template that is gone altogether may be a mistake, so its bots are kept. */
function isDropped(world: World, place: ReservePlace): boolean {
  return world.templates.has(place.template) && !world.reserves.has(reserveKey(place));
}

/** Those that wait or are on their way to, in containers that stay and in those that are emptied. */
interface Waiting {
  readonly kept: readonly Member[];
  readonly stale: readonly Member[];
}

function sort(members: readonly Member[], closed: ReadonlySet<string>): Waiting {
  const waiting = members.filter((bot) => !bot.deleting && isWaiting(bot));
  const { stale = [], kept = [] } = Object.groupBy(waiting, (bot) => (isStale(bot, closed) ? 'stale' : 'kept'));
  return { kept, stale };
}

const isReady = ({ reserve }: Member): boolean => reserve.phase === 'ready';

/**
 * What is on its way counts: a bot being made or cleaned will be ready without another. One in a container that is emptied does not,
 * and goes when there are enough without it. `room`: of more bots than there are, where one being deleted takes a slot until it is gone.
 */
function refill(world: World, wanted: ReserveTarget, waiting: Waiting, room: number): Plan {
  return joinPlans([letGo(world, wanted, waiting), makeMore(world, wanted, waiting, room)]);
}

/** With enough ready elsewhere, nobody waits for those of a container that is emptied. */
function letGo(world: World, { target }: ReserveTarget, { kept, stale }: Waiting): Plan {
  if (kept.filter(isReady).length < target) return NOTHING;
  return discard(
    seen(
      world,
      stale.filter(({ reserve }) => reserve.phase === 'warming'),
    ),
    EMPTIED,
  );
}

function makeMore(world: World, wanted: ReserveTarget, waiting: Waiting, room: number): Plan {
  const { kept, stale } = waiting;
  const ready = [...kept, ...stale].filter(isReady).length;
  if (ready > wanted.target) return trim(world, waiting, ready - wanted.target);
  const missing = Math.min(wanted.target - kept.length, room);
  const lane = reserveLane(wanted);
  if (kept.length < wanted.target && room <= 0 && stale.length > 0) return makeRoom(world, wanted, waiting, ready);
  if (missing <= 0 || !wanted.refilling || world.busy.has(lane)) return NOTHING;
  const hold = world.holds.get(lane);
  if (hold !== undefined && hold.until > world.monotonic) return holding(reserveKey(wanted), hold.reason);
  if (wanted.notBefore > world.monotonic) return holding(reserveKey(wanted), wanted.why);
  const count = Math.min(missing, wanted.batchSize);
  const { template, location, target } = wanted;
  return { steps: [{ kind: 'addReserve', template, location, count, target }], held: [] };
}

/** There may be no more bots than there are: some go before others are made, but never so many that fewer than the minimum are left. */
function makeRoom(world: World, { min, batchSize, ...place }: ReserveTarget, { stale }: Waiting, ready: number): Plan {
  const spare = Math.min(ready - min, batchSize);
  if (spare > 0) return discard(seen(world, stale.filter(isReady)).slice(0, spare), EMPTIED);
  return holding(
    reserveKey(place),
    'there are as many leasable bots as may be, so none can be made in a new container',
  );
}

function holding(target: string, why: string): Plan {
  const held: Held = { target, why };
  return { steps: [], held: [held] };
}

/** Those of containers that are emptied go first and at once, then those that wait longest; what cannot be seen stays. */
function trim(world: World, { kept, stale }: Waiting, surplus: number): Plan {
  const emptied = seen(world, stale.filter(isReady)).slice(0, surplus);
  const old = kept.filter(isReady).filter((bot) => world.leaseClock - Date.parse(bot.reserve.since) >= UNWANTED_MS);
  return joinPlans([
    discard(emptied, EMPTIED),
    discard(seen(world, old).slice(0, surplus - emptied.length), 'more are ready than wanted'),
  ]);
}

/** Longest waiting first. */
function seen(world: World, bots: readonly Member[]): readonly Member[] {
  return bots
    .filter((bot) => deriveState(world, bot).state !== 'unknown')
    .sort((a, b) => (a.reserve.since < b.reserve.since ? -1 : 1));
}

function discard(bots: readonly Member[], why: string): Plan {
  const steps = bots.map(({ instanceId: bot, reserve: { phase } }): Step => ({ kind: 'discardBot', bot, phase, why }));
  return { steps, held: [] };
}
