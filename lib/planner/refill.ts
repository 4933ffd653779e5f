import type { BotRecord } from '../domain/bot.ts';
import { isWaiting, type ReserveLife, type ReservePlace, reserveKey } from '../domain/lease.ts';
import { reserveLane, type Step } from '../domain/steps.ts';
import { deriveState } from './bot-state.ts';
import { type Held, joinPlans, NOTHING, type Plan, type ReserveTarget, type World } from './world.ts';

/** A bot that the pool may hand out, or has. */
export type Member = BotRecord & { readonly reserve: ReserveLife };

/** More ready bots than wanted stay so long, for demand comes in waves and making one takes more than keeping it. */
const UNWANTED_MS = 600_000;

/** Of a template that is not handed out on lease any more, or of a location without a reserve. */
const UNWANTED = { target: 0, min: 0, max: 0, batchSize: 1, notBefore: 0, why: '', refilling: false };

/** Makes warm bots where some are missing, a batch at a time, and lets go of those nobody wanted for long. */
export function planRefill(world: World): Plan {
  const members = world.state.bots.records.filter(isOfReserve);
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
      return refill(world, wanted, byKey.get(reserveKey(wanted)) ?? [], room);
    }),
  );
}

// Private

const isOfReserve = (bot: BotRecord): bot is Member => bot.reserve !== null;

/** A template that is gone altogether may be a mistake, so its bots are kept. */
function isDropped(world: World, place: ReservePlace): boolean {
  return world.templates.has(place.template) && !world.reserves.has(reserveKey(place));
}

/**
 * What is on its way counts: a bot being made or cleaned will be ready without another. `room`: of more bots than there are,
 * where one being deleted takes a slot until it is gone.
 */
function refill(world: World, wanted: ReserveTarget, all: readonly Member[], room: number): Plan {
  const members = all.filter((bot) => !bot.deleting);
  const waiting = members.filter(isWaiting).length;
  const ready = members.filter((bot) => bot.reserve.phase === 'ready');
  if (ready.length > wanted.target) return trim(world, ready, ready.length - wanted.target);
  const missing = Math.min(wanted.target - waiting, room);
  const lane = reserveLane(wanted);
  if (missing <= 0 || !wanted.refilling || world.busy.has(lane)) return NOTHING;
  const hold = world.holds.get(lane);
  if (hold !== undefined && hold.until > world.monotonic) return holding(reserveKey(wanted), hold.reason);
  if (wanted.notBefore > world.monotonic) return holding(reserveKey(wanted), wanted.why);
  const count = Math.min(missing, wanted.batchSize);
  const { template, location, target } = wanted;
  return { steps: [{ kind: 'addReserve', template, location, count, target }], held: [] };
}

function holding(target: string, why: string): Plan {
  const held: Held = { target, why };
  return { steps: [], held: [held] };
}

/** Those that wait longest go first; what cannot be seen stays. */
function trim(world: World, ready: readonly Member[], surplus: number): Plan {
  const steps = ready
    .filter((bot) => world.leaseClock - Date.parse(bot.reserve.since) >= UNWANTED_MS)
    .filter((bot) => deriveState(world, bot).state !== 'unknown')
    .sort((a, b) => (a.reserve.since < b.reserve.since ? -1 : 1))
    .slice(0, surplus)
    .map((bot): Step => ({ kind: 'discardBot', bot: bot.instanceId, why: 'more are ready than wanted' }));
  return { steps, held: [] };
}
