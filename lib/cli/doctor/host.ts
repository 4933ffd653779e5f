import { urlOf } from '../../config/cli.ts';
import { usesDriver } from '../../config/locations.ts';
import { mebibytes } from '../text.ts';
import { type Check, fail, ok, warn } from './finding.ts';

/** Checks of the machine itself: folders, ports, memory, kernel. */

const GIB = 1024 ** 3;
/** No clock that is right says a time before this was written. */
const WRITTEN = Date.UTC(2026, 0);

export const checkDataDir: Check = async (machine) => {
  const { dataDir } = machine.config;
  const found = await machine.stat(dataDir);
  if (found === null) return ok('data folder', `${dataDir}: made at the first start`);
  if (!found.folder) return fail('data folder', `${dataDir} is not a folder`, 'Move it away, or set DATA_DIR.');
  if (!(await machine.canWrite(dataDir))) {
    return fail('data folder', `${dataDir} cannot be written`, 'Give it to the user of Bunkhouse, or set DATA_DIR.');
  }
  if (machine.root && (found.mode & 0o001) === 0) {
    return fail('data folder', `${dataDir} is closed to the users of bots`, `chmod o+x ${dataDir}`);
  }
  if ((found.mode & 0o022) !== 0) {
    return fail('data folder', `${dataDir} can be written by other users`, `chmod go-w ${dataDir}`);
  }
  return ok('data folder', dataDir);
};

export const checkDisk: Check = async (machine) => {
  const { dataDir } = machine.config;
  const free = await machine.freeBytes(dataDir);
  if (free === null) return warn('disk', `free space of ${dataDir} is not known`, 'Look at it: df -h.');
  const text = `${(free / GIB).toFixed(1)} GiB free for ${dataDir}`;
  if (free < GIB) return fail('disk', text, 'Free at least 1 GiB: databases and archives of bots grow.');
  if (free < 5 * GIB) return warn('disk', text, 'Below 5 GiB: databases and archives of bots grow.');
  return ok('disk', text);
};

export const checkApiPort: Check = async (machine) => {
  const { host, port } = machine.config;
  if (await machine.portFree(host, port)) return ok('API port', `${host}:${port} is free`);
  if (await supervisorRuns(machine)) return ok('API port', `a supervisor answers at ${urlOf(machine.config)}`);
  return fail('API port', `${host}:${port} is taken by another program`, 'End it, or set PORT.');
};

/** While a supervisor runs, its bots have these ports. */
export const checkBotPorts: Check = async (machine) => {
  const { poolBasePort: first, maxBotsPerContainer: many } = machine.config;
  const range = `${first} to ${first + many - 1}`;
  const ports = Array.from({ length: many }, (_, n) => first + n);
  const free = await Promise.all(ports.map((port) => machine.portFree('127.0.0.1', port)));
  const taken = ports.filter((_, n) => free[n] !== true);
  if (taken.length === 0) return ok('bot ports', `${range} are free`);
  if (await supervisorRuns(machine)) return ok('bot ports', `${range}: a supervisor runs, ${taken.length} in use`);
  return warn(
    'bot ports',
    `taken: ${taken.join(', ')}`,
    'Bots that a supervisor left running keep theirs; otherwise such a range is passed over: set POOL_BASE_PORT.',
  );
};

export const checkIsolation: Check = ({ config, root }) => {
  const { uidBase } = config;
  if (!usesDriver(config, 'process')) return null;
  if (root && uidBase !== null) return ok('users', `each bot has a user of its own, from uid ${uidBase} on`);
  return warn(
    'users',
    'all bots run as one user, so they can read each other',
    root ? 'Set UID_BASE.' : 'Run it as root or with POOL_DRIVER=docker when they belong to different people.',
  );
};

export const checkMemory: Check = async (machine) => {
  const text = await machine.readText('/proc/meminfo');
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(text ?? '')?.[1];
  if (kibibytes === undefined) return warn('memory', 'not known', 'Look at it: free -m.');
  const bytes = Number(kibibytes) * 1024;
  if (bytes >= GIB) return ok('memory', `${mebibytes(bytes)} available`);
  return warn(
    'memory',
    `${mebibytes(bytes)} available`,
    'A FreqTrade bot takes about 240 MiB: run fewer, or add memory.',
  );
};

export const checkSamePages: Check = async (machine) => {
  const run = (await machine.readText('/sys/kernel/mm/ksm/run'))?.trim();
  if (run === undefined) return ok('page merging', 'the kernel has none (KSM)');
  return ok('page merging', run === '1' ? 'on (KSM)' : 'off (KSM), as it is by default');
};

/** Of hard limits: Node raises its own soft ones, and bots get theirs from their template. */
export const checkLimits: Check = async (machine) => {
  const text = (await machine.readText('/proc/self/limits')) ?? '';
  const hard = (name: string): number => {
    const value = new RegExp(`^${name}\\s+\\S+\\s+(\\S+)`, 'm').exec(text)?.[1];
    return value === undefined || value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value);
  };
  const files = hard('Max open files');
  const processes = hard('Max processes');
  const found = `${files} open files, ${processes} processes`.replaceAll('Infinity', 'unlimited');
  if (files >= 4096 && processes >= 1024) return ok('limits', found);
  return warn('limits', found, 'Raise them: at least 4096 open files and 1024 processes (ulimit -Hn, ulimit -Hu).');
};

/** An exchange refuses requests of a clock that is off by a second. */
export const checkClock: Check = async (machine) => {
  if (machine.now < WRITTEN) {
    return fail('clock', `it says ${new Date(machine.now).toISOString()}`, 'Set it: exchanges refuse a wrong time.');
  }
  const synchronised = await machine.run('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
  if (synchronised === 'no') {
    return warn('clock', 'not synchronised', 'Switch it on (timedatectl set-ntp true): exchanges refuse a wrong time.');
  }
  return ok('clock', synchronised === 'yes' ? 'synchronised' : 'set; whether it is synchronised is not known here');
};

async function supervisorRuns(machine: Parameters<Check>[0]): Promise<boolean> {
  const answer = await machine.getJson(`${urlOf(machine.config)}/health`);
  return 'json' in answer && typeof answer.json.ready === 'boolean';
}
