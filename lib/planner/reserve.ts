import type { BotObservation } from '../domain/agent.ts';
import type { BotRecord, BotState } from '../domain/bot.ts';
import { closedContainers } from '../domain/container.ts';
import { isStale, type ReservePhase, reserveKey } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import { botLane, type StepOf } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import { type DerivedState, deriveState } from './bot-state.ts';
import { type Decision, planSubjects } from './decisions.ts';
import { leaseOf } from './leases.ts';
import { type Member, planRefill } from './refill.ts';
import { joinPlans, type Plan, type World } from './world.ts';

/** A bot that is not well so long after the time its template gives it to start is given up. */
const WARMING_MS = 600_000;

/** States that a bot does not leave by waiting a moment: it was ready and is not. */
const UNFIT: ReadonlySet<BotState> = new Set(['unhealthy', 'backoff', 'failed', 'stopped']);

/** Keeps ready bots ahead of demand and sees every bot through from one lease to the next. */
export function planReserve(world: World): Plan {
  const members = world.state.bots.records.filter(isMember);
  return joinPlans([planMembers(world, members), planRefill(world)]);
}

/**
 * Bots that wait to be handed out, by reserveKey, longest waiting first, those of containers that are emptied last. Whether they are
 * fit to be is for the moment to say.
 */
export function readyBots({ bots, containers }: State): Map<string, string[]> {
  const closed = closedContainers(containers);
  const isLast = (bot: Member): number => Number(isStale(bot, closed));
  const ready = bots.records
    .filter(isMember)
    .filter((bot) => bot.reserve.phase === 'ready')
    .sort((a, b) => isLast(a) - isLast(b) || (a.reserve.since < b.reserve.since ? -1 : 1));
  const byKey = Map.groupBy(ready, reserveKey);
  return new Map([...byKey].map(([key, members]) => [key, members.map((bot) => bot.instanceId)]));
}

/** Whether it runs well, as it is recorded now and not as it was before. */
export function isFit(
  { generation }: BotRecord,
  { state, observed }: Pick<DerivedState, 'state' | 'observed'>,
): boolean {
  return state === 'running' && observed?.generation === generation;
}

export function isMember(bot: BotRecord): bot is Member {
  return bot.reserve !== null && !bot.deleting;
}

// Private

function planMembers(world: World, members: readonly Member[]): Plan {
  return planSubjects(world, {
    // One that moves is seen to when it is there: its lease may end on the way.
    among: members.filter((bot) => bot.move === null),
    name: (bot) => bot.instanceId,
    lane: (bot) => botLane(bot.instanceId),
    decide: (bot) => DECIDE[bot.reserve.phase](world, bot),
  });
}

const DECIDE: Readonly<Record<ReservePhase, (world: World, bot: Member) => Decision>> = {
  warming: decideWarming,
  ready: decideReady,
  assigned: decideAssigned,
  expired: decideStopped,
  resetting: decideStopped,
};

function decideWarming(world: World, bot: Member): Decision {
  const derived = deriveState(world, bot);
  const shut = world.shut.get(bot.instanceId);
  // It is well: to make another would not get it a certificate.
  if (isFit(bot, derived) && shut !== undefined) return { target: bot.instanceId, why: shut };
  if (isFit(bot, derived)) return { kind: 'admitReady', bot: bot.instanceId };
  const patienceMs = startupSecondsOf(world.templates.get(bot.template)) * 1000 + WARMING_MS;
  if (derived.state === 'unknown' || world.leaseClock - Date.parse(bot.reserve.since) < patienceMs) return null;
  const why = `not well ${patienceMs / 1000} s after it was made: ${derived.state} ${derived.reason}`.trim();
  const { instanceId, template, location } = bot;
  return { kind: 'giveUpWarming', bot: instanceId, template, location, why };
}

/** Its services are started first, and side by side. */
function startupSecondsOf(template: Template | undefined): number {
  if (template === undefined) return 0;
  const services = Object.values(template.services).map(({ readiness }) => readiness.startupSeconds);
  return template.readiness.startupSeconds + Math.max(0, ...services);
}

/** One that cannot be handed out must not count as if it could. */
function decideReady(world: World, bot: Member): Decision {
  const { state, reason } = deriveState(world, bot);
  if (!UNFIT.has(state)) return null;
  return { kind: 'demoteReady', bot: bot.instanceId, why: `${state} ${reason}`.trim() };
}

/** Cannot be, but would be lost for ever. */
function decideAssigned(world: World, bot: Member): Decision {
  if (leaseOf(world.state, bot) !== null) return null;
  return { ...discarded(bot), why: 'no lease says who has it' };
}

/** Cleaned only when its process is seen to be stopped under the record that says so. */
function decideStopped(world: World, bot: Member): Decision {
  const rule = world.templates.get(bot.template)?.lease?.reset ?? null;
  if (rule === null) return { ...discarded(bot), why: 'its template has no reset' };
  if (bot.placement === null) return { ...discarded(bot), why: 'it never got a place' };
  const { observed } = deriveState(world, bot);
  const { container } = bot.placement;
  const agent = world.agents.get(container);
  if (observed === null || agent?.kind !== 'seen' || !isStopped(bot, observed)) return null;
  const { directory } = agent.value;
  return { kind: 'resetBot', container, directory, bot: bot.instanceId, generation: bot.generation };
}

function discarded({ instanceId, reserve }: Member): Pick<StepOf<'discardBot'>, 'kind' | 'bot' | 'phase'> {
  return { kind: 'discardBot', bot: instanceId, phase: reserve.phase };
}

function isStopped(bot: BotRecord, observed: BotObservation): boolean {
  return observed.generation === bot.generation && !observed.run && observed.state === 'stopped';
}
