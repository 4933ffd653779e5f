import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { clearInspections, createInspector, lookApart } from './backup/sqlite-inspector.ts';
import type { Config } from './config/settings.ts';
import { FolderForeignHost } from './drivers/folder/foreign.ts';
import type { ForeignHost } from './drivers/foreign-host.ts';
import { ForeignHosts } from './drivers/foreign-hosts.ts';
import type { Dependencies } from './services/dependencies.ts';
import { systemClock as clock } from './util/clock.ts';

const ENGINE_DATA = '/var/lib/docker';

/** What bringing old deployments over needs, without what a killed supervisor left. The engine's client is loaded when somebody asks. */
export async function openMigrations(
  config: Config,
): Promise<Pick<Dependencies, 'foreign' | 'inspector' | 'spool' | 'spaces'>> {
  const spool = join(config.dataDir, 'migrating');
  await rm(spool, { recursive: true, force: true });
  await clearInspections(clock.now());
  const containers = lazily(() => (config.driver === 'memory' ? makeBelieve() : engineOf(config)));
  return {
    foreign: new ForeignHosts({ containers, folders: new FolderForeignHost(), clock }),
    inspector: createInspector(lookApart(clock)),
    spool,
    spaces: [config.dataDir, ...(config.driver === 'docker' ? [ENGINE_DATA] : [])],
  };
}

// Private

async function engineOf(config: Config): Promise<ForeignHost> {
  const { DockerForeignHost } = await import('./drivers/docker/foreign.ts');
  return new DockerForeignHost(config.dockerHost);
}

/** Real containers would be stopped for bots that never run. */
async function makeBelieve(): Promise<ForeignHost> {
  const [{ MemoryForeignHost }, { MemoryWorld }] = await Promise.all([
    import('./drivers/memory/foreign.ts'),
    import('./drivers/memory/world.ts'),
  ]);
  return new MemoryForeignHost(new MemoryWorld(clock));
}

function lazily(open: () => Promise<ForeignHost>): ForeignHost {
  let opened: Promise<ForeignHost> | null = null;
  const host = (): Promise<ForeignHost> => {
    opened ??= open();
    return opened;
  };
  return {
    list: async (from) => (await host()).list(from),
    inspect: async (ref) => (await host()).inspect(ref),
    setRestartPolicy: async (ref, policy) => (await host()).setRestartPolicy(ref, policy),
    stop: async (ref, graceSeconds) => (await host()).stop(ref, graceSeconds),
    start: async (ref) => (await host()).start(ref),
    remove: async (ref) => (await host()).remove(ref),
    sizeOf: async (ref, path) => (await host()).sizeOf(ref, path),
    async *readTree(ref, path) {
      yield* (await host()).readTree(ref, path);
    },
    writeTree: async (ref, folder, archive) => (await host()).writeTree(ref, folder, archive),
    boundPorts: async (ports) => (await host()).boundPorts(ports),
  };
}
