import type { BotRecord } from '../domain/bot.ts';
import { isWaiting, type ReserveLife } from '../domain/lease.ts';
import { reserveLane, type Step } from '../domain/steps.ts';
import { type Held, joinPlans, NOTHING, type Plan, type ReserveTarget, type World } from './world.ts';

/** A bot that the pool may hand out, or has. */
export type Member = BotRecord & { readonly reserve: ReserveLife };

/** More ready bots than wanted stay so long, for demand comes in waves and making one takes more than keeping it. */
const UNWANTED_MS = 600_000;

/** Of a template that is not handed out on lease any more. */
const UNWANTED: ReserveTarget = { target: 0, min: 0, max: 0, batchSize: 1, notBefore: 0, why: '', refilling: false };

/** Makes warm bots where some are missing, a batch at a time, and lets go of those nobody wanted for long. */
export function planRefill(world: World): Plan {
  const byTemplate = Map.groupBy(world.state.bots.records.filter(isOfReserve), (bot) => bot.template);
  const dropped = [...byTemplate.keys()].filter((name) => world.templates.has(name) && !world.reserves.has(name));
  const targets = [...world.reserves, ...dropped.map((name) => [name, UNWANTED] as const)];
  return joinPlans(
    targets.map(([template, target]) => refill(world, template, target, byTemplate.get(template) ?? [])),
  );
}

// Private

const isOfReserve = (bot: BotRecord): bot is Member => bot.reserve !== null;

/** What is on its way counts: a bot being made or cleaned will be ready without another. One being deleted takes a slot until it is gone. */
function refill(world: World, template: string, wanted: ReserveTarget, all: readonly Member[]): Plan {
  const members = all.filter((bot) => !bot.deleting);
  const waiting = members.filter(isWaiting).length;
  const ready = members.filter((bot) => bot.reserve.phase === 'ready');
  if (ready.length > wanted.target) return trim(world, ready, ready.length - wanted.target);
  const missing = Math.min(wanted.target - waiting, wanted.max - all.length);
  const lane = reserveLane(template);
  if (missing <= 0 || !wanted.refilling || world.busy.has(lane)) return NOTHING;
  const hold = world.holds.get(lane);
  if (hold !== undefined && hold.until > world.monotonic) return holding(template, hold.reason);
  if (wanted.notBefore > world.monotonic) return holding(template, wanted.why);
  const count = Math.min(missing, wanted.batchSize);
  return { steps: [{ kind: 'addReserve', template, count, target: wanted.target }], held: [] };
}

function holding(target: string, why: string): Plan {
  const held: Held = { target, why };
  return { steps: [], held: [held] };
}

/** Those that wait longest go first. */
function trim(world: World, ready: readonly Member[], surplus: number): Plan {
  const steps = ready
    .filter((bot) => world.leaseClock - Date.parse(bot.reserve.since) >= UNWANTED_MS)
    .sort((a, b) => (a.reserve.since < b.reserve.since ? -1 : 1))
    .slice(0, surplus)
    .map((bot): Step => ({ kind: 'discardBot', bot: bot.instanceId, why: 'more are ready than wanted' }));
  return { steps, held: [] };
}
