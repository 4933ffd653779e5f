import type { BotObservation } from '../domain/agent.ts';
import type { BotRecord } from '../domain/bot.ts';
import type { ReserveLife, ReservePhase } from '../domain/lease.ts';
import { botLane, reserveLane, type Step } from '../domain/steps.ts';
import { deriveState } from './bot-state.ts';
import { type Decision, planSubjects } from './decisions.ts';
import { type Held, joinPlans, NOTHING, type Plan, type ReserveTarget, type World } from './world.ts';

/** A bot made or cleaned that is not well after this long is given up and another made. */
const WARMING_MS = 600_000;

/** A cleaned bot beyond the target stays so long, for demand comes in waves and making one takes more than keeping it. */
const UNWANTED_MS = 600_000;

/** A bot that the pool may hand out. */
type Member = BotRecord & { readonly reserve: ReserveLife };

/** Keeps ready bots ahead of demand, ends leases that are over, and sees every bot through from one lease to the next. */
export function planReserve(world: World): Plan {
  const members = Object.values(world.state.bots).filter(isMember);
  return joinPlans([planEnds(world), planMembers(world, members), planRefill(world, members)]);
}

/** Bots of a template that wait to be handed out and are well, longest waiting first. */
export function readyBots(world: World, template: string): string[] {
  return Object.values(world.state.bots)
    .filter(isMember)
    .filter((bot) => bot.template === template && isReady(world, bot))
    .sort((a, b) => a.reserve.since.localeCompare(b.reserve.since) || a.instanceId.localeCompare(b.instanceId))
    .map((bot) => bot.instanceId);
}

/** When a lease ends next, by `leaseClock`; null: none is out. */
export function nextExpiry({ state }: Pick<World, 'state'>): number | null {
  const ends = Object.values(state.leases).filter((lease) => lease.end === null);
  return ends.length === 0 ? null : Math.min(...ends.map((lease) => Date.parse(lease.expiresAt)));
}

// Private

function isMember(bot: BotRecord): bot is Member {
  return bot.reserve !== null && !bot.deleting;
}

function isReady(world: World, bot: Member): boolean {
  return bot.reserve.phase === 'ready' && deriveState(world, bot).state === 'running';
}

function planEnds(world: World): Plan {
  const steps = Object.values(world.state.leases)
    .filter((lease) => lease.end === null && Date.parse(lease.expiresAt) <= world.leaseClock)
    .map((lease): Step => ({ kind: 'expireLease', lease: lease.id, bot: lease.bot }));
  return { steps, held: [] };
}

function planMembers(world: World, members: readonly Member[]): Plan {
  const subjects = members.map((bot) => ({
    name: bot.instanceId,
    lane: botLane(bot.instanceId),
    decide: () => decide(world, bot),
  }));
  return planSubjects(world, subjects);
}

const DECIDE: Readonly<Record<ReservePhase, (world: World, bot: Member) => Decision>> = {
  warming: decideWarming,
  ready: () => null,
  assigned: () => null,
  expired: decideStopped,
  resetting: decideStopped,
};

function decide(world: World, bot: Member): Decision {
  return DECIDE[bot.reserve.phase](world, bot);
}

/** Ready is only what was proven well as it is now recorded, not as it was before. */
function decideWarming(world: World, bot: Member): Decision {
  const { state, observed, reason } = deriveState(world, bot);
  const { instanceId } = bot;
  if (state === 'running' && observed?.generation === bot.generation) return { kind: 'admitReady', bot: instanceId };
  if (world.now - Date.parse(bot.reserve.since) < WARMING_MS || state === 'unknown') return null;
  return {
    kind: 'discardBot',
    bot: instanceId,
    why: `is not well ${WARMING_MS / 1000} s after it was made: ${reason}`,
  };
}

/** Cleaned only when its process is seen to be stopped under the record that says so. */
function decideStopped(world: World, bot: Member): Decision {
  const rule = world.templates.get(bot.template)?.lease?.reset ?? null;
  if (rule === null) return { kind: 'discardBot', bot: bot.instanceId, why: 'its template has no reset' };
  if (bot.placement === null) return { kind: 'discardBot', bot: bot.instanceId, why: 'it never got a place' };
  const { observed } = deriveState(world, bot);
  if (observed === null || !isStopped(bot, observed)) return null;
  return { kind: 'resetBot', container: bot.placement.container, bot: bot.instanceId, generation: bot.generation };
}

function isStopped(bot: BotRecord, observed: BotObservation): boolean {
  return observed.generation === bot.generation && !observed.run && observed.state === 'stopped';
}

function planRefill(world: World, members: readonly Member[]): Plan {
  return joinPlans([...world.reserves].map(([template, target]) => refill(world, template, target, members)));
}

/** What is on its way counts: a bot being made or cleaned will be ready without another. */
function refill(world: World, template: string, wanted: ReserveTarget, all: readonly Member[]): Plan {
  const members = all.filter((bot) => bot.template === template);
  const waiting = members.filter((bot) => bot.reserve.phase !== 'assigned');
  const surplus = members.filter((bot) => bot.reserve.phase === 'ready').length - wanted.target;
  if (surplus > 0) return trim(world, members, surplus);
  const missing = Math.min(wanted.target - waiting.length, wanted.max - members.length);
  if (missing <= 0 || !wanted.refilling) return NOTHING;
  const lane = reserveLane(template);
  const hold = world.holds.get(lane);
  if (hold !== undefined && hold.until > world.now) return holding(template, hold.reason);
  if (wanted.nextBatchAt > world.now) return holding(template, 'the next batch of warm bots is not due yet');
  return { steps: [{ kind: 'addReserve', template, count: Math.min(missing, wanted.batchSize) }], held: [] };
}

function holding(target: string, why: string): Plan {
  const held: Held = { target, why };
  return { steps: [], held: [held] };
}

/** Those that nobody wanted for long go, longest waiting first. */
function trim(world: World, members: readonly Member[], surplus: number): Plan {
  const steps = members
    .filter((bot) => bot.reserve.phase === 'ready' && world.now - Date.parse(bot.reserve.since) >= UNWANTED_MS)
    .sort((a, b) => a.reserve.since.localeCompare(b.reserve.since))
    .slice(0, surplus)
    .map((bot): Step => ({ kind: 'discardBot', bot: bot.instanceId, why: 'more are ready than wanted' }));
  return { steps, held: [] };
}
