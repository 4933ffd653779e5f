import type { BotRecord } from '../domain/bot.ts';
import type { ContainerRecord } from '../domain/container.ts';
import { isWaiting } from '../domain/lease.ts';
import { ownsBot } from '../domain/migration.ts';
import type { Destination } from '../domain/move.ts';
import { botLane, type Step } from '../domain/steps.ts';
import { deriveState } from './bot-state.ts';
import type { Job } from './emptying-jobs.ts';
import { whyImmovable } from './moves.ts';
import type { Rooms } from './rooms.ts';
import type { Held, Plan, World } from './world.ts';

interface Candidate {
  readonly bot: BotRecord;
  readonly container: ContainerRecord;
  /** Lower goes first. */
  readonly rank: readonly number[];
}

/**
 * Which bots of a job begin their move now: those that are stopped first, then by the age of their containers; whose move failed
 * before, last. The slot it goes to, and a container for that, are made while it still runs.
 */
export function planDepartures(world: World, rooms: Rooms, job: Job, claims: Claims): Plan {
  const held: Held[] = [];
  const candidates = job.containers.flatMap((container) =>
    (claims.get(container.name) ?? []).flatMap((bot) => {
      if (!isToMove(bot, container)) return [];
      const obstacle = obstacleOf(world, job, bot);
      if (obstacle !== null)
        held.push({ target: bot.instanceId, why: `stays in ${container.name} for now: ${obstacle}` });
      return obstacle === null ? [{ bot, container, rank: rankOf(world, job, bot, container) }] : [];
    }),
  );
  return joined(held, begin(world, rooms, job, candidates.sort(byRank)));
}

export type Claims = ReadonlyMap<string, readonly BotRecord[]>;

/** Warm bots are not moved: others are made in their place. What is being deleted goes by itself. */
export function isToMove(bot: BotRecord, { name }: Pick<ContainerRecord, 'name'>): boolean {
  return bot.placement?.container === name && bot.move === null && !bot.deleting && !isWaiting(bot);
}

/** Why it cannot or should not be moved now; null: nothing stands in the way. */
export function obstacleOf(world: World, job: Pick<Job, 'force' | 'failed'>, bot: BotRecord): string | null {
  const { instanceId, restore } = bot;
  const immovable = whyImmovable(bot, world.templates.get(bot.template));
  if (immovable !== null) return immovable;
  const migration = world.state.migrations.get(instanceId);
  if (migration !== undefined && ownsBot(migration)) return `it is being brought over or back (${migration.phase})`;
  if (restore !== null) return `its data is being replaced by that of ${restore.backup}`;
  const { state, reason } = deriveState(world, bot);
  if (state === 'unknown') return reason;
  return job.failed(instanceId).wait ?? (job.force ? null : heldBackBy(world, bot, state));
}

// Private

/** What cannot be asked is not known to be free. Nobody trades who does not run. */
function heldBackBy(world: World, bot: BotRecord, state: string): string | null {
  const rule = world.templates.get(bot.template)?.holdBack ?? null;
  if (rule === null || state === 'stopped') return null;
  const answer = world.holdBacks.get(bot.instanceId);
  return answer === undefined ? 'it has not been asked yet whether it may go' : answer;
}

function rankOf(world: World, job: Job, bot: BotRecord, container: ContainerRecord): readonly number[] {
  const { state } = deriveState(world, bot);
  const isAway = state === 'stopped' ? 0 : 1;
  return [job.failed(bot.instanceId).count, isAway, container.generation, bot.placement?.slot ?? 0];
}

function byRank(a: Candidate, b: Candidate): number {
  for (const [index, rank] of a.rank.entries()) {
    const difference = rank - (b.rank[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function begin(world: World, rooms: Rooms, job: Job, candidates: readonly Candidate[]): Plan {
  const steps: Step[] = [];
  const held: Held[] = [];
  let free = job.free;
  for (const { bot, container } of candidates) {
    if (free <= 0) break;
    free -= 1;
    const to = destinationOf(container);
    const search = rooms.find(bot, to);
    if (search.kind !== 'found') held.push({ target: bot.instanceId, why: search.why });
    else if (!world.busy.has(botLane(bot.instanceId)))
      steps.push({ kind: 'beginMove', bot: bot.instanceId, to, cause: job.cause(container.name) });
  }
  return { steps, held };
}

const destinationOf = ({ soleBot }: ContainerRecord): Destination =>
  soleBot === null ? { kind: 'pool' } : { kind: 'alone' };

const joined = (held: readonly Held[], plan: Plan): Plan => ({ steps: plan.steps, held: [...held, ...plan.held] });
