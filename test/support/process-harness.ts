import { existsSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ProcessDriver, type ProcessDriverOptions } from '../../lib/drivers/process/process-driver.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { type DriverHarness, PORTS } from '../contract/harness.ts';
import { botSpec, SOCKET, serviceSpec } from './bot-spec.ts';
import { freePorts, occupyPort } from './ports.ts';
import { isAlive } from './processes.ts';
import { makeTempDir, removeDir } from './temp-dir.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const VENV = process.env.BUNKHOUSE_TEST_VENV ?? join(ROOT, '.bunkhouse/venv');
export const SUPERVISORD = join(VENV, 'bin/supervisord');
export const UID_BASE = 300_000;

/** What the tests with a real supervisord lack on this machine; null: nothing. */
export function missingForProcesses(): string | null {
  if (process.platform !== 'linux') return 'Linux';
  if (existsSync(SUPERVISORD)) return null;
  return `${SUPERVISORD}: run scripts/test, or set BUNKHOUSE_TEST_VENV to a Python venv with supervisor 4.3`;
}

/** A process driver with a data directory of its own, and fixture bots that other users can read. */
export async function processHarness(): Promise<ProcessHarness> {
  const root = await makeTempDir();
  const basePort = await freePorts(22_000, 22_999, PORTS);
  const bots = join(root, 'fixtures');
  await mkdir(bots, { mode: 0o755 });
  for (const name of ['server.py', 'deaf.py', 'orphan.py']) {
    await copyFile(join(ROOT, 'test/fixtures/bots', name), join(bots, name));
  }
  await copyFile(join(ROOT, 'test/fixtures/services/keeper.py'), join(bots, 'keeper.py'));
  const given: Omit<ProcessDriverOptions, 'clock'> = {
    dataDir: join(root, 'data'),
    installation: 'same',
    supervisord: SUPERVISORD,
    pluginDir: join(ROOT, 'docker/pool'),
    path: `${join(VENV, 'bin')}:/usr/bin:/bin`,
    uidBase: UID_BASE,
  };
  const open = (installation: 'same' | 'other'): ProcessDriver => new ProcessDriver({ ...given, installation, clock });
  const driver = open('same');
  return {
    driver,
    root,
    options: given,
    basePort,
    image: null,
    fixtureSpec: (bot, overrides) => ({
      ...botSpec(bot, {
        command: [join(VENV, 'bin/python'), join(bots, 'server.py')],
        env: { PORT: String(overrides.port), HOST: '127.0.0.1' },
        ...overrides,
      }),
    }),
    fixture: (name, ...args) => [join(VENV, 'bin/python'), join(bots, name), ...args],
    fixtureService: (name, directory) => {
      const socket = `${directory}/run/services/${name}/s`;
      const command = [join(VENV, 'bin/python'), join(bots, 'keeper.py'), '--dir', '.', '--socket', socket];
      return serviceSpec(name, { command, readiness: { ...SOCKET, path: socket } });
    },
    killService: async (_, { pid }) => void process.kill(pid ?? 0, 'SIGKILL'),
    kill: async (_, { pid }) => void process.kill(pid ?? 0, 'SIGKILL'),
    isAlive: async (_, { pid }) => isAlive(pid ?? 0),
    occupy: occupyPort,
    open,
    async dispose() {
      for (const left of [driver, open('other')]) {
        for (const { name } of await left.list()) await left.stop(name, 0).catch(() => {});
        await left.close();
      }
      await removeDir(root);
    },
  };
}

export interface ProcessHarness extends DriverHarness {
  readonly driver: ProcessDriver;
  readonly root: string;
  readonly options: Omit<ProcessDriverOptions, 'clock'>;
  open(installation: 'same' | 'other'): ProcessDriver;
  /** Command line of a fixture bot. */
  fixture(name: string, ...args: string[]): readonly string[];
}
