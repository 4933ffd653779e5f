import type { BotObservation } from '../domain/agent.ts';
import { type BotRecord, generationAt, wantsProcess } from '../domain/bot.ts';
import type { Move } from '../domain/move.ts';
import { SLACK_SECONDS } from '../domain/move-rule.ts';
import type { Placement } from '../domain/placement.ts';
import type { Step } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import { deriveState } from './bot-state.ts';
import type { Decision } from './decisions.ts';
import { observedIn } from './sightings.ts';
import type { World } from './world.ts';

/** A bot on its way, or coming back. */
export interface Traveller extends BotRecord {
  readonly move: Move;
  readonly placement: Placement;
}

/** A new place that is not ready after so long is given up; the bot goes on meanwhile. */
const PREPARING_SECONDS = 900;

/** Ended so often in its new place, a bot goes back without waiting for the deadline. */
const MOST_RESTARTS = 3;

export function isTraveller(bot: BotRecord): bot is Traveller {
  return bot.move !== null && bot.placement !== null;
}

/** Why bots of that template cannot be moved at all, and what to do; null: they can. */
export function whyImmovable(
  { template: name }: Pick<BotRecord, 'template'>,
  template: Template | undefined,
): string | null {
  if (template === undefined) return `its template ${name} does not exist; add it again`;
  const services = Object.keys(template.services).join(', ');
  if (services === '') return null;
  return `it keeps data in ${services}, a service of its container, which no archive puts back; make a new bot, bring its data in by the program's own export and import, then delete this one`;
}

/** What is to be done about a move in any case, whatever else there is to do; null: nothing. */
export function decideUndo(world: World, bot: Traveller, template: Template | undefined): Step | null {
  const { move, instanceId } = bot;
  if (move.undone !== null || template === undefined) return null;
  const late = lateness(world, move, move.phase === 'preparing' ? PREPARING_SECONDS : deadlineOf(template));
  if (late === null) return null;
  const trouble = world.holds.get(`bot ${instanceId}`)?.reason;
  const undo = (what: string): Step => ({
    kind: 'undoMove',
    bot: instanceId,
    why: `${what} after ${late} s${trouble === undefined ? '' : `: ${trouble}`}`,
  });
  switch (move.phase) {
    case 'preparing':
      return undo('there was no place ready for it');
    case 'leaving':
      return undo('it had not stopped');
    case 'carrying':
      return undo('its data had not been fetched');
    case 'arriving':
      return undo(`its data was not in place in ${bot.placement.container}`);
    default:
      return null;
  }
}

/** What brings a bot nearer to the end of its move, once its present place shows it as it is to be there. `rest`: its life meanwhile. */
export function decideMove(
  world: World,
  bot: Traveller,
  template: Template,
  observed: BotObservation,
  rest: () => Decision,
): Decision {
  const { instanceId: id, generation, placement, move } = bot;
  const still = !observed.run && observed.state === 'stopped';
  switch (move.phase) {
    case 'preparing':
      return decidePreparing(world, bot, template, observed) ?? rest();
    case 'leaving':
      return still ? { kind: 'beginCarrying', bot: id } : null;
    case 'carrying':
      if (!still) return null;
      return move.archive === null
        ? { kind: 'carryBot', container: placement.container, bot: id, generation }
        : { kind: 'crossOver', bot: id, generation };
    case 'arriving':
      return still ? { kind: 'arriveBot', container: placement.container, bot: id, generation: generation - 1 } : null;
    case 'proving':
      return decideProving(world, bot, template, observed) ?? rest();
    case 'clearing': {
      const next = rest();
      return next !== null && 'kind' in next ? next : decideClearing(world, bot);
    }
  }
}

/** Removes what there is of it in its other place. Null: it has none. */
export function decideClearing(world: World, bot: BotRecord): Decision {
  const { instanceId, generation, move } = bot;
  const container = move?.other?.placement.container;
  if (move === null || container === undefined) return null;
  const agent = world.agents.get(container);
  if (agent?.kind === 'seen') return { kind: 'clearPlace', container, bot: instanceId, generation };
  // What never ran there, or is not wanted any more, need not wait for a container that may never come back.
  const isGone = world.listing.kind === 'seen' && !world.listing.value.has(container);
  if (isGone && (move.undone !== null || bot.deleting)) return { kind: 'endMove', bot: instanceId, container };
  const why = agent?.kind === 'unknown' ? agent.reason : 'it does not run now';
  return { target: instanceId, why: `what it left in ${container} cannot be cleared yet: ${why}` };
}

/** Seconds that a bot of that template has to arrive and become well in its new place. */
export function deadlineOf({ move, readiness }: Template): number {
  return move.deadlineSeconds ?? readiness.startupSeconds + SLACK_SECONDS;
}

/** When the next move is to be looked at because its time is up, by `now`; null: none is on its way. */
export function nextMoveDeadline(world: Pick<World, 'state' | 'templates' | 'now'>): number | null {
  let first: number | null = null;
  for (const { move, template: name } of world.state.bots.records) {
    const template = world.templates.get(name);
    if (move === null || move.undone !== null || template === undefined) continue;
    for (const seconds of [deadlineOf(template), PREPARING_SECONDS]) {
      const at = Date.parse(move.since) + seconds * 1000;
      if (at > world.now && (first === null || at < first)) first = at;
    }
  }
  return first;
}

// Private

/** How many seconds the phase lasts, if that is too long. */
function lateness({ now }: World, { since }: Move, most: number): number | null {
  const seconds = (now - Date.parse(since)) / 1000;
  return seconds >= most ? Math.round(seconds) : null;
}

function decidePreparing(world: World, bot: Traveller, template: Template, observed: BotObservation): Decision {
  const { instanceId, move } = bot;
  if (move.other === null) return null;
  const { container } = move.other.placement;
  const agent = world.agents.get(container);
  if (agent?.kind !== 'seen') return null;
  const there = observedIn(container, agent.value, instanceId)?.observed;
  if (there === undefined || there.generation !== generationAt(bot, container)) return null;
  if (there.run || there.state !== 'stopped') return null;
  if (observed.state === 'stopping') return null;
  if (!observed.run && observed.state === 'stopped') return { kind: 'leavePlace', bot: instanceId, well: false };
  if (isWell(world, bot)) {
    const hasFacts = Object.keys(template.move.facts).length > 0;
    return hasFacts ? { kind: 'askBot', bot: instanceId } : { kind: 'leavePlace', bot: instanceId, well: true };
  }
  // It cannot be asked to be better there than it is here.
  if (lateness(world, move, deadlineOf(template)) === null) return null;
  return { kind: 'leavePlace', bot: instanceId, well: false };
}

function decideProving(world: World, bot: Traveller, template: Template, observed: BotObservation): Decision {
  const { instanceId, move, placement } = bot;
  const proven: Step = { kind: 'takeForProven', bot: instanceId };
  if (!wantsProcess(bot)) return !observed.run && observed.state === 'stopped' ? proven : null;
  if (move.facts === null) return proven;
  const undo = (why: string): Step => ({ kind: 'undoMove', bot: instanceId, why });
  if (observed.restarts >= MOST_RESTARTS)
    return undo(`it ended ${observed.restarts} times in ${placement.container}: ${observed.reason}`);
  const isFit = isWell(world, bot);
  if (isFit && Object.keys(template.move.facts).length === 0) return proven;
  const late = lateness(world, move, deadlineOf(template));
  if (late === null) return isFit ? { kind: 'proveBot', bot: instanceId } : null;
  const { state, reason } = deriveState(world, bot);
  const trouble = world.holds.get(`bot ${instanceId}`)?.reason;
  const why = isFit && trouble !== undefined ? trouble : `${state} ${reason}`.trim();
  return undo(`it did not prove well in ${placement.container} within ${late} s: ${why}`);
}

/** Whether it runs well, as it is recorded now and not as it was before. */
function isWell(world: World, bot: Traveller): boolean {
  const { state, observed } = deriveState(world, bot);
  return state === 'running' && observed?.generation === bot.generation;
}
