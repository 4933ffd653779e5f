import type { AgentObservation, BotObservation } from '../domain/agent.ts';
import { type BotRecord, wantsProcess } from '../domain/bot.ts';
import { messageOf } from '../domain/errors.ts';
import type { LeaseRecord } from '../domain/lease.ts';
import type { Placement } from '../domain/placement.ts';
import { isStillborn } from '../domain/restore.ts';
import { botLane, type Sake, type Step } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import { type Decision, planSubjects } from './decisions.ts';
import { leaseOf } from './leases.ts';
import { renderSpec } from './render.ts';
import { findBots, isAlive, observedIn, type Sighting } from './sightings.ts';
import type { Plan, World } from './world.ts';

/** One step for each bot whose container can be asked: what brings it nearer to its record. */
export function planBots(world: World): Plan {
  const sightings = findBots(world);
  return planSubjects(world, {
    among: world.state.bots.records,
    name: (bot) => bot.instanceId,
    lane: (bot) => botLane(bot.instanceId),
    decide: (bot) => decide(world, bot, sightings.get(bot.instanceId)),
  });
}

// Private

function decide(world: World, bot: BotRecord, sighting: Sighting | undefined): Decision {
  if (bot.placement === null) return bot.deleting ? { kind: 'forgetBot', bot: bot.instanceId } : null;
  const agent = world.agents.get(bot.placement.container);
  if (agent?.kind !== 'seen') return null;
  if (sighting?.alive && sighting.container !== bot.placement.container) {
    const why = `still runs in ${sighting.container}, where it has no place; stop that container, so that it does not run twice`;
    return { target: bot.instanceId, why };
  }
  const observed = observedIn(bot.placement.container, agent.value, bot.instanceId)?.observed;
  if (bot.deleting) return decideDeletion(world, bot, bot.placement, observed, agent.value);
  const template = world.templates.get(bot.template);
  if (template === undefined) {
    return {
      target: bot.instanceId,
      why: `its template ${bot.template} does not exist; add it again`,
    };
  }
  if (observed === undefined || observed.generation !== bot.generation) {
    return applyStep(world, bot, bot.placement, template, agent.value);
  }
  if (isStillborn(bot)) return { target: bot.instanceId, why: bot.restore.failed };
  if (bot.restore !== null) return decideRestore(bot, bot.placement, observed);
  if (observed.state !== 'running') return null;
  return decideLiving(world, bot, template, observed);
}

/** Its process is held stopped meanwhile; once it is, its directory is replaced. Repeated until the wish is carried out. */
function decideRestore(
  { instanceId, generation }: BotRecord,
  { container }: Placement,
  observed: BotObservation,
): Decision {
  if (observed.state !== 'stopped') return null;
  return { kind: 'restoreBot', container, bot: instanceId, generation };
}

/** A restart that is due comes first: it carries out the wish as well, and a hung bot would never answer the control call. */
function decideLiving(world: World, bot: BotRecord, template: Template, observed: BotObservation): Decision {
  const restart = decideRestart(world, bot, template, observed);
  if (restart !== null && 'kind' in restart) return restart;
  return decideControl(bot, template, observed) ?? restart;
}

/** A record that does not fit its template (any more) holds up this bot, never the pass. */
function applyStep(
  world: World,
  bot: BotRecord,
  placement: Placement,
  template: Template,
  { directory }: AgentObservation,
): Decision {
  try {
    const lease = leaseOf(world.state, bot);
    const spec = renderSpec(bot, placement, template, { host: world.limits.bindHost, directory, lease });
    return { kind: 'applyBot', container: placement.container, spec, sake: sakeOf(bot, lease) };
  } catch (error) {
    return { target: bot.instanceId, why: `does not fit its template ${template.name}: ${messageOf(error)}` };
  }
}

/** A warm bot runs already when it is handed out. */
function sakeOf({ reserve }: BotRecord, lease: LeaseRecord | null): Sake {
  if (reserve === null) return 'demand';
  if (reserve.phase !== 'assigned') return 'reserve';
  return lease?.fromPool ? 'telling' : 'demand';
}

/**
 * Stopped, then archived, then removed and with that forgotten; each chosen from what is seen, so it can be broken off
 * anywhere. Also what is not seen is removed before it is forgotten: the container then refuses what was sent earlier.
 */
function decideDeletion(
  world: World,
  bot: BotRecord,
  placement: Placement,
  observed: BotObservation | undefined,
  agent: AgentObservation,
): Decision {
  const { instanceId, generation } = bot;
  const { container } = placement;
  const template = world.templates.get(bot.template);
  if (observed !== undefined && isAlive(observed)) {
    if (observed.generation === generation) return null;
    if (template === undefined) {
      return { target: instanceId, why: `cannot be stopped without its template ${bot.template}; add it again` };
    }
    return applyStep(world, bot, placement, template, agent);
  }
  // The container knows what it keeps in services only of bots that were applied there since it was started.
  if (observed === undefined && agent.directories.includes(instanceId) && agent.serviceDirectories.length > 0) {
    if (template !== undefined) return applyStep(world, bot, placement, template, agent);
    const kept = agent.serviceDirectories.join(', ');
    return {
      target: instanceId,
      why: `may keep something in ${kept}, as its template ${bot.template} says; add it again`,
    };
  }
  // What somebody did in a lease is nobody's to keep.
  if (bot.reserve === null && bot.archive === null && agent.directories.includes(instanceId))
    return { kind: 'archiveBot', container, bot: instanceId };
  return { kind: 'removeBot', container, bot: instanceId, generation };
}

/** A living process that was started under the other wish is told once; after that the owner may do as it likes in the bot. */
function decideControl(bot: BotRecord, template: Template, observed: BotObservation): Step | null {
  const { desiredGeneration } = bot;
  if ((observed.startedGeneration ?? 0) >= desiredGeneration || bot.controlledGeneration >= desiredGeneration)
    return null;
  const action = bot.desired === 'paused' ? 'pause' : 'resume';
  if (template.control[action] === undefined) return null;
  return { kind: 'controlBot', bot: bot.instanceId, action, generation: desiredGeneration };
}

function decideRestart(world: World, bot: BotRecord, template: Template, observed: BotObservation): Decision {
  const why = unhealthyReason(world, bot.instanceId, template, observed);
  if (why === null || !wantsProcess(bot)) return null;
  const hold = world.restartHolds.get(bot.instanceId);
  if (hold !== undefined && hold.until > world.monotonic)
    return { target: bot.instanceId, why: `${why}; ${hold.reason}` };
  return { kind: 'restartBot', bot: bot.instanceId, why };
}

/** Why a ready process does not count as well; null when it does. */
export function unhealthyReason(
  world: Pick<World, 'health'>,
  instanceId: string,
  template: Template,
  observed: BotObservation,
): string | null {
  if (observed.listener === 'other') return `port ${observed.port} is held by another process`;
  const health = world.health.get(instanceId);
  if (health === undefined || health.startedAt !== observed.startedAt) return null;
  return health.failures >= template.failureThreshold ? health.reason : null;
}
