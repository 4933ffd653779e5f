import type { AgentObservation, BotObservation } from '../domain/agent.ts';
import { type BotRecord, type Placement, wantsProcess } from '../domain/bot.ts';
import { messageOf } from '../domain/errors.ts';
import { botLane, type Step } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import { renderSpec } from './render.ts';
import type { Held, Plan, World } from './world.ts';

/** One step for each bot whose container can be asked: what brings it nearer to its record. */
export function planBots(world: World): Plan {
  const steps: Step[] = [];
  const held: Held[] = [];
  for (const bot of Object.values(world.state.bots)) {
    const lane = botLane(bot.instanceId);
    if (world.busy.has(lane)) continue;
    const decision = decide(world, bot);
    if (decision === null) continue;
    const hold = world.holds.get(lane);
    if (!('kind' in decision)) held.push(decision);
    else if (hold !== undefined && hold.until > world.now) held.push({ target: bot.instanceId, why: hold.reason });
    else steps.push(decision);
  }
  return { steps, held };
}

// Private

type Decision = Step | Held | null;

function decide(world: World, bot: BotRecord): Decision {
  if (bot.placement === null) return bot.deleting ? { kind: 'forgetBot', bot: bot.instanceId } : null;
  const agent = world.agents.get(bot.placement.container);
  if (agent?.kind !== 'seen') return null;
  const observed = agent.value.bots.find((candidate) => candidate.bot === bot.instanceId);
  if (bot.deleting) return decideDeletion(world, bot, bot.placement, observed, agent.value);
  const template = world.templates.get(bot.template);
  if (template === undefined) {
    return {
      target: bot.instanceId,
      why: `its template ${bot.template} does not exist; add it again or delete the bot`,
    };
  }
  if (observed === undefined || observed.generation !== bot.generation) {
    return applyStep(world, bot, bot.placement, template);
  }
  if (observed.state !== 'running') return null;
  return decideControl(bot, template, observed) ?? decideRestart(world, bot, template, observed);
}

/** A record that does not fit its template (any more) holds up this bot, never the pass. */
function applyStep(world: World, bot: BotRecord, placement: Placement, template: Template): Decision {
  try {
    const spec = renderSpec(bot, placement, template, world.limits.bindHost);
    return { kind: 'applyBot', container: placement.container, spec };
  } catch (error) {
    return { target: bot.instanceId, why: `does not fit its template ${template.name}: ${messageOf(error)}` };
  }
}

/** Stopped, then archived, then removed, then forgotten; each chosen from what is seen, so it can be broken off anywhere. */
function decideDeletion(
  world: World,
  bot: BotRecord,
  placement: Placement,
  observed: BotObservation | undefined,
  agent: AgentObservation,
): Decision {
  const { instanceId, generation } = bot;
  const { container } = placement;
  if (observed !== undefined && isAlive(observed)) {
    const template = world.templates.get(bot.template);
    if (observed.generation === generation) return null;
    if (template === undefined) return { target: instanceId, why: 'waits to stop, but its template is gone' };
    return applyStep(world, bot, placement, template);
  }
  if (bot.archive === null && agent.directories.includes(instanceId))
    return { kind: 'archiveBot', container, bot: instanceId };
  if (observed !== undefined || agent.directories.includes(instanceId)) {
    return { kind: 'removeBot', container, bot: instanceId, generation };
  }
  return { kind: 'forgetBot', bot: instanceId };
}

/** A stopped or never started process; one waiting to be tried again counts as alive, because it may start any moment. */
function isAlive(observed: BotObservation): boolean {
  return observed.run || observed.state !== 'stopped';
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
  if (hold !== undefined && hold.until > world.now) return { target: bot.instanceId, why: `${why}; ${hold.reason}` };
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
