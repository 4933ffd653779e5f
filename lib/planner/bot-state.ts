import type { BotObservation } from '../domain/agent.ts';
import { type BotRecord, type BotState, wantsProcess } from '../domain/bot.ts';
import { isHeldStill } from '../domain/move.ts';
import { isStillborn } from '../domain/restore.ts';
import { botLane, containerLane } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import { unhealthyReason } from './health.ts';
import { observedIn, type Seat } from './sightings.ts';
import type { BotHealth, World } from './world.ts';

export interface DerivedState {
  readonly state: BotState;
  /** Empty when all is well. */
  readonly reason: string;
  readonly observed: BotObservation | null;
}

/** What a bot is in, from its record and what was observed. */
export function deriveState(world: World, bot: BotRecord): DerivedState {
  const derived = withNews(bot, derive(world, bot));
  if (world.holds.size === 0) return derived;
  const hold = world.holds.get(botLane(bot.instanceId));
  return hold === undefined || derived.reason !== '' ? derived : { ...derived, reason: hold.reason };
}

// Private

/** A bot held stopped for a restore or a move says so, and why that failed. */
function withNews(bot: BotRecord, derived: DerivedState): DerivedState {
  const { restore, move } = bot;
  if (isStillborn(bot) && derived.state === 'stopped')
    return { ...derived, state: 'failed', reason: bot.restore.failed };
  if (derived.reason !== '') return derived;
  if (restore !== null) return { ...derived, reason: `its data is being replaced by that of ${restore.backup}` };
  if (move === null) return derived;
  if (move.undone !== null) return { ...derived, reason: `its move failed: ${move.undone}` };
  return isHeldStill(move) ? { ...derived, reason: `is being moved (${move.phase})` } : derived;
}

function derive(world: World, bot: BotRecord): DerivedState {
  const template = world.templates.get(bot.template);
  if (template === undefined) return without('failed', `its template ${bot.template} does not exist`);
  if (world.listing.kind === 'unknown') return without('unknown', world.listing.reason);
  if (bot.placement === null) return without('pending', world.unreachable.get(bot.location) ?? 'waits for a container');
  const container = world.listing.value.get(bot.placement.container);
  if (container === undefined) return without('pending', whyNotMade(world, bot.placement.container));
  if (container.status === 'unknown') return without('unknown', container.reason);
  if (container.status === 'stopped')
    return without(wantsProcess(bot) ? 'pending' : 'stopped', 'its container is stopped');
  const agent = world.agents.get(container.name);
  if (agent === undefined) return without('unknown', 'its container has not been asked yet');
  if (agent.kind === 'unknown') return without('unknown', agent.reason);
  const seat = observedIn(container.name, agent.value, bot.instanceId);
  if (seat === undefined) return without(wantsProcess(bot) ? 'pending' : 'stopped', '');
  return known(world, template, seat);
}

function whyNotMade({ failures }: World, container: string): string {
  const failure = failures.get(containerLane(container));
  return failure === undefined ? 'its container is being made' : `its container cannot be made: ${failure.reason}`;
}

const without = (state: BotState, reason: string): DerivedState => ({ state, reason, observed: null });

class Known {
  readonly template: Template;
  readonly health: BotHealth | undefined;
  readonly derived: DerivedState;

  constructor(template: Template, health: BotHealth | undefined, derived: DerivedState) {
    this.template = template;
    this.health = health;
    this.derived = derived;
  }
}

/** What follows from an observation is kept as long as it is, because most bots are as they were in the pass before. */
function known(world: World, template: Template, seat: Seat): DerivedState {
  const { observed, note } = seat;
  const health = world.health.get(observed.bot);
  if (note instanceof Known && note.template === template && note.health === health) return note.derived;
  const derived = { ...fromProcess(world, template, observed), observed };
  seat.note = new Known(template, health, derived);
  return derived;
}

function fromProcess(
  world: World,
  template: Template,
  observed: BotObservation,
): Pick<DerivedState, 'state' | 'reason'> {
  const { state, reason } = observed;
  if (state === 'stopped') return observed.run ? { state: 'starting', reason } : { state: 'stopped', reason: '' };
  if (state !== 'running') return { state, reason };
  const unhealthy = unhealthyReason(world, observed.bot, template, observed);
  if (unhealthy !== null) return { state: 'unhealthy', reason: unhealthy };
  const health = world.health.get(observed.bot);
  const proven = template.checks.length === 0 || (health?.startedAt === observed.startedAt && health.passed);
  return proven
    ? { state: 'running', reason: noticeOf(template, observed) }
    : { state: 'starting', reason: health?.reason || 'waits for its first health check' };
}

/** What its owner should know although it runs; empty for nothing. */
function noticeOf({ notices }: Template, { status }: BotObservation): string {
  return Object.hasOwn(notices, status) ? (notices[status] ?? '') : '';
}
