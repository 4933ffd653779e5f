import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import type { Driver } from './driver.ts';

/** What the drivers need to know, of all the settings. */
export interface DriverSettings {
  readonly driver: 'process' | 'docker' | 'memory';
  readonly dataDir: string;
  readonly supervisord: string;
  readonly botPath: string;
  readonly uidBase: number | null;
  readonly dockerHost: string;
}

export interface DriverContext {
  /** Labels containers as ours. */
  readonly installation: string;
  /** Folder that holds the package `bunkhouse_plugin`. */
  readonly pluginDir: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The driver the settings name, for one engine. Only its own SDK is loaded: dockerode alone costs 20 MiB. */
export async function openDriver(settings: DriverSettings, context: DriverContext): Promise<Driver> {
  switch (settings.driver) {
    case 'process': {
      const { ProcessDriver } = await import('./process/process-driver.ts');
      return new ProcessDriver({ ...context, ...settings, path: settings.botPath });
    }
    case 'docker': {
      const { DockerDriver } = await import('./docker/docker-driver.ts');
      return new DockerDriver({ ...context, dockerHost: settings.dockerHost });
    }
    case 'memory': {
      const { MemoryDriver } = await import('./memory.ts');
      return new MemoryDriver({ clock: context.clock });
    }
  }
}
