import type { AgentObservation, BotObservation } from '../domain/agent.ts';
import { type BotRecord, generationAt, placedGeneration, poolLocation, wantsProcess } from '../domain/bot.ts';
import { slotPort } from '../domain/container.ts';
import { messageOf } from '../domain/errors.ts';
import type { LeaseRecord } from '../domain/lease.ts';
import type { Placement } from '../domain/placement.ts';
import { isStillborn } from '../domain/restore.ts';
import { botLane, type Sake, type Step } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import { type Decision, planSubjects } from './decisions.ts';
import { unhealthyReason } from './health.ts';
import { leaseOf } from './leases.ts';
import { decideClearing, decideMove, decideUndo, isTraveller, type Traveller } from './moves.ts';
import { renderSpec } from './render.ts';
import { blindness, findBots, isAlive, observedIn, type Sighting } from './sightings.ts';
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
  const { container } = bot.placement;
  const undo = isTraveller(bot) && !bot.deleting ? decideUndo(world, bot, world.templates.get(bot.template)) : null;
  const first = decideMisplaced(world, bot, bot.placement, sighting) ?? undo;
  const agent = world.agents.get(container);
  if (first !== null || agent?.kind !== 'seen') return first;
  const observed = observedIn(container, agent.value, bot.instanceId)?.observed;
  if (bot.deleting) return decideDeletion(world, bot, bot.placement, observed, agent.value);
  return decideStaying(world, bot, bot.placement, observed, agent.value);
}

/** Seen where it has no place, or further than the store knows. */
function decideMisplaced(world: World, bot: BotRecord, placement: Placement, sighting: Sighting | undefined): Decision {
  if (sighting === undefined) return null;
  const isHere = sighting.container === placement.container;
  // Where it arrives it was told less than its generation; more it can only know because it has arrived there since.
  if (sighting.generation > bot.generation && (!isHere || bot.move?.phase === 'arriving'))
    return decideNewer(world, bot, sighting);
  if (isHere || !sighting.alive || world.agents.get(placement.container)?.kind !== 'seen') return null;
  const why = `still runs in ${sighting.container}, where it has no place; stop that container, so that it does not run twice`;
  return { target: bot.instanceId, why };
}

/** The highest generation is where its newest data is, once every place is seen. */
function decideNewer(world: World, { instanceId }: BotRecord, sighting: Sighting): Decision {
  const { container, slot, generation } = sighting;
  const blind = blindness(world);
  if (blind !== null)
    return { target: instanceId, why: `was in ${container} later than the store knows, but ${blind}` };
  const found = world.listing.kind === 'seen' ? world.listing.value.get(container) : undefined;
  if (found === undefined) return null;
  const placement = { container, slot, port: slotPort(found, slot) };
  return { kind: 'followNewest', bot: instanceId, placement, generation, found };
}

function decideStaying(
  world: World,
  bot: BotRecord,
  placement: Placement,
  observed: BotObservation | undefined,
  agent: AgentObservation,
): Decision {
  const template = world.templates.get(bot.template);
  if (template === undefined) {
    return {
      target: bot.instanceId,
      why: `its template ${bot.template} does not exist; add it again`,
    };
  }
  // The same generation with another wish is one that was given twice, to an older copy of the store.
  const isTold = observed?.generation === placedGeneration(bot) && observed.run === wantsProcess(bot);
  if (observed === undefined || !isTold) {
    return applyStep(world, bot, placement, template, agent);
  }
  if (isStillborn(bot)) return { target: bot.instanceId, why: bot.restore.failed };
  if (bot.restore !== null) return decideRestore(bot, placement, observed);
  const rest = (): Decision => (observed.state === 'running' ? decideLiving(world, bot, template, observed) : null);
  if (!isTraveller(bot)) return rest();
  return decidePlace(world, bot, template) ?? decideMove(world, bot, template, observed, rest);
}

/** The place that is kept for a bot is made ready before the bot has to leave its own: held stopped there, with all but its data. */
function decidePlace(world: World, bot: Traveller, template: Template): Decision {
  const { instanceId, move } = bot;
  if (move.phase !== 'preparing' || move.other === null) return null;
  const { placement } = move.other;
  const agent = world.agents.get(placement.container);
  if (agent?.kind !== 'seen') return null;
  const there = observedIn(placement.container, agent.value, instanceId)?.observed;
  const generation = generationAt(bot, placement.container);
  if (generation === null || there?.generation === generation) return null;
  const step = applyStep(world, bot, placement, template, agent.value);
  if (step === null || !('kind' in step) || step.kind !== 'applyBot') return step;
  return { ...step, spec: { ...step.spec, generation, run: false } };
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

/** Of the place in question, which need not be where its record says that it is: it may be on its way. */
function hostAt({ limits, state }: World, { location }: BotRecord, { container }: Placement): string {
  const pool = state.containers[container]?.pool;
  return limits.bindHost(pool === undefined ? location : poolLocation(pool));
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
    const spec = renderSpec(bot, placement, template, { host: hostAt(world, bot, placement), directory, lease });
    return {
      kind: 'applyBot',
      container: placement.container,
      spec,
      sake: sakeOf(bot, lease),
      blind: blindness(world),
    };
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
  // Its data is not here yet.
  if (bot.move?.phase === 'arriving') return { kind: 'undoMove', bot: instanceId, why: 'it is being deleted' };
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
  const clearing = decideClearing(world, bot);
  if (clearing !== null) return clearing;
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
