import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mapLimited } from '../../../lib/util/limit.ts';
import { killAll, processesBelow, signal } from '../../../test/e2e/processes.ts';
import { poll, VENV } from '../../../test/e2e/support.ts';
import { makeTempDir, removeDir } from '../../../test/support/temp-dir.ts';
import { commandLine } from '../../lib/host-processes.ts';
import { askDirectly, layOut, PortList } from './old-bot.ts';
import type { Ground, Way } from './way.ts';

const run = promisify(execFile);
const PACKAGE = 'pm2@7';
const GONE_SECONDS = 60;

/** PM2 as a user would install it, with a daemon and a home of its own. */
export async function openPm2(ground: Ground, basePort: number): Promise<Way> {
  const folder = await makeTempDir();
  const home = join(folder, 'pm2');
  const botFolder = (id: string): string => join(folder, 'bots', id);
  const ports = new PortList(basePort);
  // It would ask home for a newer version.
  const env = { PATH: process.env.PATH ?? '', HOME: folder, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' };
  const pm2 = (...args: string[]): Promise<{ stdout: string }> =>
    run(process.execPath, [join(folder, 'node_modules/pm2/bin/pm2'), ...args], { env, cwd: folder });
  const processOf = (id: string): number | undefined =>
    processesBelow(botFolder(id)).find(({ directory }) => directory === botFolder(id))?.pid;

  const daemonPid = async (): Promise<number> => Number(await readFile(join(home, 'pm2.pid'), 'utf8'));

  async function close(): Promise<void> {
    await pm2('kill').catch(() => {});
    // Should that have failed: the daemon first, because it would start the bots again.
    const daemon = await daemonPid().catch(() => null);
    if (daemon !== null && commandLine(daemon).join(' ').includes(home)) signal(daemon, 'SIGKILL');
    await killAll(() => processesBelow(folder));
    await removeDir(folder);
  }

  async function app(id: string): Promise<object> {
    await layOut(botFolder(id), id, ground, { host: '127.0.0.1', port: ports.of(id) });
    return {
      name: id,
      script: join(VENV, 'bin/freqtrade'),
      interpreter: 'none',
      args: ['trade', '--config', 'config.json', '--strategy', 'DemoStrategy'],
      cwd: botFolder(id),
    };
  }

  try {
    await mkdir(home);
    await writeFile(join(home, 'touch'), '');
    await run('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error', PACKAGE]);
    await pm2('ping');
  } catch (error) {
    await close();
    throw error;
  }
  const { version } = JSON.parse(await readFile(join(folder, 'node_modules/pm2/package.json'), 'utf8'));
  const python = (await run(join(VENV, 'bin/python'), ['--version'])).stdout.trim();

  return {
    name: 'PM2',
    note: `PM2 ${version}, freqtrade of a venv of this host (${python}), with PM2's daemon`,
    supervisor: null,
    port: async (id) => ports.of(id),
    ask: (id, path) => askDirectly(ports.of(id), path),
    verify: async () => {},
    close,

    async start(ids) {
      const apps = await mapLimited(ids, 8, app);
      const file = join(folder, `${ids[0]}.config.json`);
      await writeFile(file, JSON.stringify({ apps }));
      await pm2('start', file);
    },

    async census() {
      const daemon = await daemonPid();
      const pids = ports.ids().map((id) => [id, processOf(id)] as const);
      return {
        bots: new Map(pids.filter((entry): entry is [string, number] => entry[1] !== undefined)),
        keepers: [daemon],
      };
    },

    async stop(ids) {
      await pm2('delete', ...ids);
      await poll('the bots ended', GONE_SECONDS, async () => ids.every((id) => processOf(id) === undefined));
      for (const id of ids) ports.free(id);
    },
  };
}
