import type { BotObservation } from '../domain/agent.ts';
import { type BotRecord, type BotState, wantsProcess } from '../domain/bot.ts';
import { botLane } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import { unhealthyReason } from './bots.ts';
import type { World } from './world.ts';

export interface DerivedState {
  readonly state: BotState;
  /** Empty when all is well. */
  readonly reason: string;
  readonly observed: BotObservation | null;
}

/** What a bot is in, from its record and what was observed. */
export function deriveState(world: World, bot: BotRecord): DerivedState {
  const derived = derive(world, bot);
  const hold = world.holds.get(botLane(bot.instanceId));
  return hold === undefined || derived.reason !== '' ? derived : { ...derived, reason: hold.reason };
}

// Private

function derive(world: World, bot: BotRecord): DerivedState {
  if (!world.templates.has(bot.template)) return without('failed', `its template ${bot.template} does not exist`);
  if (world.listing.kind === 'unknown') return without('unknown', world.listing.reason);
  if (bot.placement === null) return without('pending', 'waits for a container');
  const container = world.listing.value.get(bot.placement.container);
  if (container === undefined) return without('pending', 'its container is being made');
  if (container.status === 'unknown') return without('unknown', container.reason);
  if (container.status === 'stopped')
    return without(wantsProcess(bot) ? 'pending' : 'stopped', 'its container is stopped');
  const agent = world.agents.get(container.name);
  if (agent === undefined) return without('unknown', 'its container has not been asked yet');
  if (agent.kind === 'unknown') return without('unknown', agent.reason);
  const observed = agent.value.bots.find((candidate) => candidate.bot === bot.instanceId);
  if (observed === undefined) return without(wantsProcess(bot) ? 'pending' : 'stopped', '');
  return { ...fromProcess(world, bot, observed), observed };
}

const without = (state: BotState, reason: string): DerivedState => ({ state, reason, observed: null });

function fromProcess(world: World, bot: BotRecord, observed: BotObservation): Pick<DerivedState, 'state' | 'reason'> {
  const { state, reason } = observed;
  if (state === 'stopped') return observed.run ? { state: 'starting', reason } : { state: 'stopped', reason: '' };
  if (state !== 'running') return { state, reason };
  const template = world.templates.get(bot.template);
  if (template === undefined) return { state: 'failed', reason };
  const unhealthy = unhealthyReason(world, bot.instanceId, template, observed);
  if (unhealthy !== null) return { state: 'unhealthy', reason: unhealthy };
  const health = world.health.get(bot.instanceId);
  const proven = template.checks.length === 0 || (health?.startedAt === observed.startedAt && health.passed);
  return proven
    ? { state: 'running', reason: noticeOf(template, observed) }
    : { state: 'starting', reason: health?.reason || 'waits for its first health check' };
}

/** What its owner should know although it runs; empty for nothing. */
function noticeOf({ notices }: Template, { status }: BotObservation): string {
  return Object.hasOwn(notices, status) ? (notices[status] ?? '') : '';
}
