import { execFile } from 'node:child_process';
import { access, constants, mkdir, open, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import { containersDirectory } from './layout.ts';

/** Whether this machine can run containers of the process driver, and how well bots are kept apart. */
export interface Fitness {
  readonly isolatesUsers: boolean;
  readonly notes: readonly string[];
}

export interface FitnessQuestion {
  readonly supervisord: string;
  readonly dataDir: string;
  readonly uidBase: number | null;
}

const OLDEST_PYTHON = [3, 11] as const;
const VERSIONS_MS = 20_000;

/** Makes the data directory if need be. Throws DRIVER_UNAVAILABLE with what to do. */
export async function checkFitness(question: FitnessQuestion): Promise<Fitness> {
  if (process.platform !== 'linux') throw unfit('the process driver needs Linux: use POOL_DRIVER=docker');
  const python = await findPython(question.supervisord);
  const versions = await readVersions(python);
  const isRoot = process.getuid?.() === 0;
  const wanted = isRoot && question.uidBase !== null;
  await mkdir(containersDirectory(question.dataDir), { recursive: true, mode: wanted ? 0o711 : 0o700 }).catch(
    (error) => {
      throw unfit(`${question.dataDir} cannot be made (${messageOf(error)}): set DATA_DIR to a folder you may write`);
    },
  );
  if (!wanted) return { isolatesUsers: false, notes: [versions, isRoot ? NO_UID_BASE : NOT_ROOT] };
  const obstacles = await findObstacles([containersDirectory(question.dataDir), python, await realpath(python)]);
  if (obstacles.length === 0) return { isolatesUsers: true, notes: [versions] };
  return { isolatesUsers: false, notes: [versions, closed(obstacles)] };
}

const NOT_ROOT =
  'not run by root, so all bots share one user: they can read each other’s files. Run as root to separate them';
const NO_UID_BASE = 'UID_BASE is empty, so all bots run as root: set it to give each bot a user of its own';

function closed(obstacles: readonly string[]): string {
  return (
    `all bots run as root, because users of their own could not pass ${obstacles.join(' and ')}: ` +
    `run "chmod o+x ${obstacles.join(' ')}", or choose a DATA_DIR and a venv elsewhere, and restart`
  );
}

/** The interpreter in the first line of supervisord's script. */
async function findPython(supervisord: string): Promise<string> {
  const next = 'Install supervisor 4.3 into a Python venv and set SUPERVISORD to its bin/supervisord';
  await access(supervisord, constants.X_OK).catch((error) => {
    throw unfit(`supervisord cannot be run (${messageOf(error)}). ${next}`);
  });
  const script = await open(supervisord, 'r');
  try {
    const { buffer, bytesRead } = await script.read(Buffer.alloc(512), 0, 512, 0);
    const match = /^#!\s*(\/\S+)\s*\n/.exec(buffer.toString('utf8', 0, bytesRead));
    if (match?.[1] === undefined) throw unfit(`${supervisord} is no script of a Python venv. ${next}`);
    return match[1];
  } finally {
    await script.close();
  }
}

/** A sentence with the versions, having checked that they will do. */
async function readVersions(python: string): Promise<string> {
  const program = 'import sys, supervisor.options as o; print(*sys.version_info[:3], o.VERSION)';
  const run = promisify(execFile)(python, ['-I', '-c', program], { timeout: VERSIONS_MS, env: {} });
  const { stdout } = await run.catch((error) => {
    throw unfit(
      `${python} cannot import supervisor (${messageOf(error).trim()}): install supervisor 4.3 into its venv`,
    );
  });
  const [major = 0, minor = 0, patch = 0] = stdout.split(' ', 3).map(Number);
  const [needMajor, needMinor] = OLDEST_PYTHON;
  if (major < needMajor || (major === needMajor && minor < needMinor)) {
    throw unfit(
      `${python} is Python ${major}.${minor}, but ${needMajor}.${needMinor} or newer is needed: make the venv with a newer one`,
    );
  }
  return `Python ${major}.${minor}.${patch}, supervisor ${stdout.trim().split(' ').at(-1)}`;
}

/** Directories on the way to these paths that other users may not pass. */
async function findObstacles(paths: readonly string[]): Promise<readonly string[]> {
  const obstacles = new Set<string>();
  for (const path of paths) {
    for (let directory = await directoryOf(path); ; directory = dirname(directory)) {
      if (((await stat(directory)).mode & 0o001) === 0) obstacles.add(directory);
      if (directory === dirname(directory)) break;
    }
  }
  return [...obstacles].sort();
}

async function directoryOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? path : dirname(path);
}

function unfit(message: string): BunkhouseError {
  return new BunkhouseError('DRIVER_UNAVAILABLE', message);
}
