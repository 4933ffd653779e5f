import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { FREQTRADE_IMAGE } from '../../../lib/drivers/docker/images.ts';
import { mapLimited } from '../../../lib/util/limit.ts';
import { makeTempDir, removeDir } from '../../../test/support/temp-dir.ts';
import { containerProcesses } from './engine.ts';
import { askDirectly, layOut, PortList } from './old-bot.ts';
import type { Ground, Way } from './way.ts';

const run = promisify(execFile);

/** One container per bot, as operators run FreqTrade today. */
export async function openContainers(ground: Ground, engine: Docker, basePort: number): Promise<Way> {
  const folder = await makeTempDir();
  const prefix = `bunkhouse-bench-${randomBytes(4).toString('hex')}`;
  const nameOf = (id: string): string => `${prefix}-${id}`;
  const ports = new PortList(basePort);

  async function startOne(id: string): Promise<void> {
    const port = ports.of(id);
    const bot = await layOut(join(folder, id), id, ground, { host: '0.0.0.0', port });
    const mounts = ['config.json', 'user_data'].flatMap((path) => ['-v', `${join(bot, path)}:/freqtrade/${path}`]);
    const command = ['trade', '--config', 'config.json', '--strategy', 'DemoStrategy'];
    await run('docker', [
      ...['run', '--detach', '--restart', 'always', '--name', nameOf(id), '--workdir', '/freqtrade'],
      ...['--publish', `127.0.0.1:${port}:${port}`, ...mounts],
      ...['--entrypoint', 'freqtrade', FREQTRADE_IMAGE, ...command],
    ]);
  }

  return {
    name: 'container per bot',
    note: `docker run --restart always of ${FREQTRADE_IMAGE} for each bot; with shims and docker-proxy, without dockerd`,
    supervisor: null,
    start: async (ids) => void (await mapLimited(ids, ids.length, startOne)),
    port: async (id) => ports.of(id),
    ask: (id, path) => askDirectly(ports.of(id), path),
    verify: async () => {},

    async census() {
      const processes = await containerProcesses(engine, ports.ids().map(nameOf));
      const bots = ports.ids().flatMap((id) => {
        const main = processes.get(nameOf(id))?.main;
        return main === undefined ? [] : [[id, main] as const];
      });
      return { bots: new Map(bots), keepers: [...processes.values()].flatMap(({ helpers }) => helpers) };
    },

    async stop(ids) {
      await run('docker', ['rm', '--force', '--volumes', ...ids.map(nameOf)]);
      for (const id of ids) ports.free(id);
    },

    async close() {
      const left = await engine.listContainers({ all: true, filters: { name: [`^/${prefix}-`] } });
      await mapLimited(left, 8, ({ Id }) => engine.getContainer(Id).remove({ force: true, v: true }));
      await removeDir(folder);
    },
  };
}
