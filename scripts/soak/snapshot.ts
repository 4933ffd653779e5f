import { setTimeout as sleep } from 'node:timers/promises';
import { MIB, median } from '../bench/figures.ts';
import { observePools } from '../bench/ways/observing.ts';
import type { PooledWay } from '../bench/ways/pooled.ts';
import {
  descendantsOf,
  type HostProcess,
  innerPid,
  listProcesses,
  memoryOf,
  openFiles,
  readProcess,
  realUid,
} from '../lib/host-processes.ts';

/** Of supervisord, or of the zygote. */
export interface KeeperFigures {
  readonly openFiles: number;
  readonly rssMiB: number;
  readonly pssMiB: number;
}

/** The fleet at rest. Memory of bots: the median. */
export interface Snapshot {
  /** Of bots, living ones below supervisord. */
  readonly bots: number;
  readonly processes: number;
  readonly zombies: number;
  readonly supervisord: KeeperFigures;
  /** Null: there is none. */
  readonly zygote: KeeperFigures | null;
  readonly forkedBots: number;
  readonly privatePerBotMiB: number;
  readonly sharedPerBotMiB: number;
  readonly totalPssMiB: number;
}

const LOOKS = 6;
const LOOK_EVERY_MS = 500;

/**
 * What lasts: of processes, zombies and descriptors the least of several looks, because helpers come and go and what has
 * just ended is reaped a moment later.
 */
export async function takeSnapshot(way: PooledWay, driver: 'process' | 'docker'): Promise<Snapshot> {
  const roots = await way.supervisords();
  const [supervisord] = roots;
  if (supervisord === undefined) throw new Error('there is no supervisord');
  const [observation] = await observePools(way.sandbox, driver);
  const forkedBots = observation?.bots.filter(({ spawn }) => spawn?.kind === 'prefork').length ?? 0;
  const zygote = await zygotePid(way, driver);
  const looks: { readonly all: readonly HostProcess[]; readonly files: readonly (number | null)[] }[] = [];
  for (let look = 0; look < LOOKS; look++) {
    if (look > 0) await sleep(LOOK_EVERY_MS);
    const files = [openFiles(supervisord), zygote === null ? null : openFiles(zygote)];
    looks.push({ all: descendantsOf(roots, listProcesses()), files });
  }
  const least = (of: (look: (typeof looks)[number]) => number): number => Math.min(...looks.map(of));
  const { bots, keepers } = await way.census();
  const memory = [...bots.values()].flatMap((pid) => memoryOf(pid) ?? []);
  const keeperPss = keepers.reduce((sum, pid) => sum + (memoryOf(pid)?.pssBytes ?? 0), 0);
  return {
    bots: memory.length,
    processes: least(({ all }) => all.length),
    zombies: least(({ all }) => all.filter(({ state }) => state === 'Z').length),
    supervisord: figuresOf(
      supervisord,
      least(({ files }) => files[0] ?? Number.NaN),
    ),
    zygote:
      zygote === null
        ? null
        : figuresOf(
            zygote,
            least(({ files }) => files[1] ?? Number.NaN),
          ),
    forkedBots,
    privatePerBotMiB: median(memory.map(({ privateBytes }) => privateBytes)) / MIB,
    sharedPerBotMiB: median(memory.map(({ sharedBytes }) => sharedBytes)) / MIB,
    totalPssMiB: memory.reduce((sum, { pssBytes }) => sum + pssBytes, keeperPss) / MIB,
  };
}

/** With the host's pid; null while there is none. */
export async function zygotePid(way: PooledWay, driver: 'process' | 'docker'): Promise<number | null> {
  const [observation] = await observePools(way.sandbox, driver);
  const inner = observation?.zygotes.find(({ state }) => state === 'ready')?.pid ?? null;
  if (inner === null) return null;
  const family = descendantsOf(await way.supervisords(), listProcesses());
  return family.find(({ pid }) => innerPid(pid) === inner)?.pid ?? null;
}

/** Bots with more than one living process that leads a session: wherever on this host, by their uid. */
export async function findDoubled(way: PooledWay, ids: readonly string[]): Promise<readonly string[]> {
  const leaders = listProcesses().filter(({ pid, session, state }) => pid === session && !'ZX'.includes(state));
  const uids = leaders.map(({ pid }) => realUid(pid));
  const owners = await Promise.all(ids.map(async (id) => ({ id, uid: await way.uid(id) })));
  return owners.filter(({ uid }) => uids.filter((found) => found === uid).length > 1).map(({ id }) => id);
}

/** Bots that share nothing with the zygote of now: executed, or forked from an earlier one. */
export async function findApart(way: PooledWay, driver: 'process' | 'docker'): Promise<readonly string[]> {
  const [observation] = await observePools(way.sandbox, driver);
  const executed = new Set(observation?.bots.filter(({ spawn }) => spawn?.kind === 'exec').map(({ bot }) => bot));
  const zygote = await zygotePid(way, driver);
  const since = zygote === null ? Number.POSITIVE_INFINITY : (readProcess(zygote)?.start ?? Number.POSITIVE_INFINITY);
  const { bots } = await way.census();
  return [...bots].filter(([id, pid]) => executed.has(id) || (readProcess(pid)?.start ?? 0) < since).map(([id]) => id);
}

// Private

function figuresOf(pid: number, files: number): KeeperFigures {
  const memory = memoryOf(pid);
  if (memory === null || Number.isNaN(files)) throw new Error(`process ${pid} ended while it was looked at`);
  return { openFiles: files, rssMiB: memory.rssBytes / MIB, pssMiB: memory.pssBytes / MIB };
}
