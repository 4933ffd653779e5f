import type { ContainerRecord } from '../domain/container.ts';
import type { MoveCause } from '../domain/move.ts';
import { isOld, type UpgradeRecord } from '../domain/upgrade.ts';
import type { World } from './world.ts';

/** Why some containers are emptied together, and how many of their bots may begin a move now. */
export interface Job {
  readonly cause: (container: string) => MoveCause;
  readonly containers: readonly ContainerRecord[];
  /** How many more may be on their way. */
  readonly free: number;
  /** Bots are not held back by their template. */
  readonly force: boolean;
  /** How often the move of a bot failed, and why it is not tried again yet. */
  readonly failed: (bot: string) => { readonly count: number; readonly wait: string | null };
}

/** A bot whose move failed is tried again after that many times the usual spacing. */
const RETRY_SPACINGS = 10;

const NEVER_FAILED = { count: 0, wait: null };

/** Upgrades that run, and drains; each job's containers are its own. */
export function emptyingJobs(world: World): Job[] {
  const { upgrades, containers } = world.state;
  const closed = Object.values(containers).filter(({ emptying, removing }) => emptying !== null && !removing);
  const running = Object.values(upgrades).filter(({ status }) => status === 'running');
  return [
    ...running.map((upgrade) => upgradeJob(world, upgrade, closed)),
    ...closed.flatMap((container) => drainJob(world, container)),
  ];
}

/** In how many milliseconds something of an upgrade comes due; null: nothing does by the clock. */
export function nextDeparture({ state, now }: Pick<World, 'state' | 'now'>): number | null {
  const due = Object.values(state.upgrades)
    .filter(({ status }) => status === 'running')
    .flatMap((upgrade) => [
      untilDeparture(upgrade, now),
      untilForced(upgrade, now),
      ...upgrade.failures.map(({ at }) => untilRetry(upgrade, at, now)),
    ])
    .filter((ms) => ms > 0 && ms < Number.POSITIVE_INFINITY);
  return due.length === 0 ? null : Math.min(...due);
}

// Private

function upgradeJob(world: World, upgrade: UpgradeRecord, closed: readonly ContainerRecord[]): Job {
  const { template, surge, spacingSeconds } = upgrade;
  const left = surge - onTheirWay(world, (cause) => cause.kind === 'upgrade' && cause.template === template);
  const isDue = untilDeparture(upgrade, world.now) <= 0;
  return {
    cause: () => ({ kind: 'upgrade', template }),
    containers: closed.filter((container) => isOld(container, upgrade) && container.emptying?.why !== 'drain'),
    free: isDue ? Math.min(left, spacingSeconds > 0 ? 1 : left) : 0,
    force: untilForced(upgrade, world.now) <= 0,
    failed: (bot) => failedBefore(world, upgrade, bot),
  };
}

function drainJob(world: World, container: ContainerRecord): Job[] {
  const { emptying, name } = container;
  if (emptying?.why !== 'drain') return [];
  const away = onTheirWay(world, (cause) => cause.kind === 'drain' && cause.container === name);
  const job: Job = {
    cause: () => ({ kind: 'drain', container: name }),
    containers: [container],
    free: emptying.surge - away,
    force: emptying.force,
    failed: () => NEVER_FAILED,
  };
  return [job];
}

function onTheirWay({ state }: World, isOfJob: (cause: MoveCause) => boolean): number {
  return state.bots.records.filter(({ move }) => move !== null && isOfJob(move.cause)).length;
}

const untilDeparture = ({ begunAt, spacingSeconds }: UpgradeRecord, now: number): number =>
  begunAt === null ? 0 : spacingSeconds * 1000 - elapsedMs(begunAt, now);

const untilForced = ({ startedAt, holdSeconds }: UpgradeRecord, now: number): number =>
  holdSeconds === null ? Number.POSITIVE_INFINITY : holdSeconds * 1000 - elapsedMs(startedAt, now);

const untilRetry = ({ spacingSeconds }: UpgradeRecord, failedAt: string, now: number): number =>
  RETRY_SPACINGS * spacingSeconds * 1000 - elapsedMs(failedAt, now);

/** A moment that is yet to come is of a clock that was set back: nobody waits for it. */
function elapsedMs(since: string, now: number): number {
  const ms = now - Date.parse(since);
  return ms < 0 ? Number.POSITIVE_INFINITY : ms;
}

function failedBefore({ now }: World, upgrade: UpgradeRecord, bot: string): ReturnType<Job['failed']> {
  const failures = upgrade.failures.filter((failure) => failure.bot === bot);
  const last = failures.at(-1);
  if (last === undefined) return NEVER_FAILED;
  const wait = untilRetry(upgrade, last.at, now) > 0 ? `its move failed and is tried again later: ${last.why}` : null;
  return { count: failures.length, wait };
}
