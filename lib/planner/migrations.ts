import type { BotRecord } from '../domain/bot.ts';
import { isUnderWay, type MigrationPhase, type MigrationRecord } from '../domain/migration.ts';
import { isStillborn } from '../domain/restore.ts';
import { migrationLane, type Step } from '../domain/steps.ts';
import { deriveState } from './bot-state.ts';
import { type Decision, planSubjects } from './decisions.ts';
import type { Plan, World } from './world.ts';

const MINUTE_MS = 60_000;
/** For a place in the pool, and for the data to be put in place. Past it the bot goes back to where it was. */
const PATIENCE_MS = 10 * MINUTE_MS;
/** Beyond the time its template gives it to start. */
const PROVING_MS = 2 * MINUTE_MS;
/** A bot that ended so often does not get well by waiting. */
const MOST_ENDS = 3;
const DAY_MS = 86_400_000;

/** One step for each deployment on its way: what brings it nearer to where it is to be. */
export function planMigrations(world: World): Plan {
  if (world.state.migrations.size === 0) return { steps: [], held: [] };
  const all = world.state.migrations.records;
  const free = freeTurns(all);
  return planSubjects(world, {
    among: all,
    name: ({ instanceId }) => instanceId,
    lane: ({ instanceId }) => migrationLane(instanceId),
    decide: (migration) =>
      isUnderWay(migration) ? DECIDE[migration.phase](world, migration, free) : late(world, migration),
  });
}

// Private

type Decide = (world: World, migration: MigrationRecord, free: ReadonlySet<string>) => Decision;

/** What is done in a phase itself is one step, which leads to the next phase. The others wait for what is seen. */
const DECIDE: Readonly<Record<MigrationPhase, Decide>> = {
  waiting: (world, migration, free) =>
    free.has(migration.instanceId) ? work(world, migration) : held(migration, 'waits for its turn'),
  preparing: decidePreparing,
  stopping: work,
  copying: work,
  placing: decidePlacing,
  comparing: (world, migration) =>
    isHeldStopped(world, migration)
      ? work(world, migration)
      : patient(world, migration, 'it is not held stopped in the pool, to be compared'),
  proving: decideProving,
  leaving: decideLeaving,
  returning: work,
  removing: decideRemoving,
  reviving: work,
  clearing: work,
  done: () => null,
  failed: () => null,
  'rolled-back': () => null,
  finished: () => null,
};

/** Those that may begin now, longest waiting first: as many at a time as each of them allows. */
function freeTurns(all: readonly MigrationRecord[]): ReadonlySet<string> {
  const onTheirWay = all.filter((one) => isUnderWay(one) && one.phase !== 'waiting').length;
  const waiting = all
    .filter(({ phase }) => phase === 'waiting')
    .sort((a, b) => (a.beganAt < b.beganAt ? -1 : a.beganAt > b.beganAt ? 1 : a.instanceId < b.instanceId ? -1 : 1));
  return new Set(
    waiting.filter(({ parallel }, index) => onTheirWay + index < parallel).map(({ instanceId }) => instanceId),
  );
}

function work(_: World, { instanceId, phase }: MigrationRecord): Step {
  return { kind: 'migrate', bot: instanceId, phase };
}

function turn({ instanceId, phase }: MigrationRecord, to: MigrationPhase): Step {
  return { kind: 'turnMigration', bot: instanceId, from: phase, to };
}

function goBack({ instanceId, phase }: MigrationRecord, why: string): Step {
  return { kind: 'undoMigration', bot: instanceId, from: phase, why };
}

const held = ({ instanceId }: MigrationRecord, why: string): Decision => ({ target: instanceId, why });

function decidePreparing(world: World, migration: MigrationRecord): Decision {
  const bot = botOf(world, migration);
  if (bot === undefined) return goBack(migration, 'its bot was deleted meanwhile');
  if (isHeldStopped(world, migration)) return turn(migration, 'stopping');
  return patient(world, migration, 'no place was made for it');
}

/** The restore is another lane's work; when it is done its wish is gone. */
function decidePlacing(world: World, migration: MigrationRecord): Decision {
  const bot = botOf(world, migration);
  if (bot === undefined) return goBack(migration, 'its bot was deleted meanwhile');
  if (isStillborn(bot)) return goBack(migration, bot.restore.failed);
  if (bot.restore === null && isHeldStopped(world, migration)) return turn(migration, 'comparing');
  return patient(world, migration, 'its data could not be put in place');
}

/** Well means also that it proved who it is, under the record that had it started. */
function decideProving(world: World, migration: MigrationRecord): Decision {
  const bot = botOf(world, migration);
  if (bot === undefined) return goBack(migration, 'its bot was deleted meanwhile');
  const { state, reason, observed } = deriveState(world, bot);
  if (state === 'running' && observed?.generation === bot.generation) return work(world, migration);
  if (state === 'unknown') return held(migration, reason);
  const ends = observed?.startedGeneration === bot.generation || observed?.generation === bot.generation;
  const exit = observed?.lastExit;
  if (ends && (observed?.restarts ?? 0) >= MOST_ENDS)
    return goBack(migration, `it ended ${MOST_ENDS} times in the pool, last with ${exitOf(exit)}: ${reason}`);
  const startup = (world.templates.get(bot.template)?.readiness.startupSeconds ?? 0) * 1000;
  const sentence = reason === '' ? state : `${state}, ${reason}`;
  return patient(world, migration, `it did not get well in the pool: ${sentence}`, startup + PROVING_MS);
}

/** Dead only when its container says so under the record that wants it stopped, or it never had a place. */
function decideLeaving(world: World, migration: MigrationRecord): Decision {
  const bot = botOf(world, migration);
  if (bot === undefined) return turn(migration, 'reviving');
  // What is being deleted already is archived with that, and may be gone before anything of it could be carried back.
  if (bot.placement === null || bot.deleting) return turn(migration, 'removing');
  if (!isHeldStopped(world, migration)) {
    const { state, reason } = deriveState(world, bot);
    return held(migration, `waits to see it stopped in the pool; it is ${state} ${reason}`.trim());
  }
  return turn(migration, migration.ran ? 'returning' : 'removing');
}

function decideRemoving(world: World, migration: MigrationRecord): Decision {
  if (botOf(world, migration) === undefined) return turn(migration, 'reviving');
  return held(migration, 'waits until its bot is archived and deleted');
}

/** The old one is removed when its days are over. */
function late(world: World, migration: MigrationRecord): Decision {
  const { phase, keepDays, endedAt } = migration;
  if (phase !== 'done' || keepDays === null || endedAt === null) return null;
  return world.now < Date.parse(endedAt) + keepDays * DAY_MS ? null : turn(migration, 'clearing');
}

function patient(world: World, migration: MigrationRecord, why: string, ms = PATIENCE_MS): Decision {
  const bot = botOf(world, migration);
  const { state, reason } = bot === undefined ? { state: 'gone', reason: '' } : deriveState(world, bot);
  const because = reason === '' || why.includes(reason) ? why : `${why}: ${reason}`;
  if (state === 'unknown' || world.now - Date.parse(migration.since) < ms) return held(migration, `${because}, as yet`);
  return goBack(migration, `${because} within ${Math.round(ms / 1000)} s`);
}

const botOf = ({ state }: World, { instanceId }: MigrationRecord): BotRecord | undefined => state.bots.get(instanceId);

function isHeldStopped(world: World, migration: MigrationRecord): boolean {
  const bot = botOf(world, migration);
  if (bot === undefined) return false;
  const { observed } = deriveState(world, bot);
  return observed !== null && observed.generation === bot.generation && !observed.run && observed.state === 'stopped';
}

function exitOf(exit: { readonly code: number | null; readonly signal: string | null } | null | undefined): string {
  if (exit === null || exit === undefined) return 'an unknown end';
  return exit.signal ?? `code ${exit.code}`;
}
