import type { ChildProcess } from 'node:child_process';
import { renderConfig } from '../../supervisord/config.ts';
import type { Clock } from '../../util/clock.ts';
import { writeDurably } from '../../util/durable-write.ts';
import { endAll } from './ending.ts';
import { checkFitness, type Fitness } from './fitness.ts';
import { launch, untilAnswering } from './launch.ts';
import type { Marks } from './members.ts';

export interface SupervisordOptions {
  /** Containers live below `containers/` in it. */
  readonly dataDir: string;
  /** Path of supervisord's executable. */
  readonly supervisord: string;
  /** The folder that holds the package `bunkhouse_plugin`. */
  readonly pluginDir: string;
  /** PATH of the bots. */
  readonly path: string;
  /** A slot's uid is this plus its port; null, or not root: one user for all. */
  readonly uidBase: number | null;
  readonly clock: Clock;
  /** How long a new supervisord may take to answer. */
  readonly startMs?: number;
}

const START_MS = 30_000;

/** Starts supervisords and hears of their deaths. */
export class Supervisords {
  readonly #options: SupervisordOptions;
  readonly #onExit: (container: string) => void;
  readonly #children = new Map<string, ChildProcess>();
  #fitness: Promise<Fitness> | null = null;

  constructor(options: SupervisordOptions, onExit: (container: string) => void) {
    this.#options = options;
    this.#onExit = onExit;
  }

  /** Whether this process started it: then its death is heard of. */
  isChild(container: string): boolean {
    return this.#children.has(container);
  }

  /** For a container without a living supervisord. What is left of an earlier life is ended first; resolves when it answers. */
  async start(marks: Marks): Promise<void> {
    const { layout, labelled } = marks;
    const { clock, supervisord, pluginDir, path, startMs = START_MS } = this.#options;
    const { isolatesUsers } = await this.fit();
    await endAll(marks, clock);
    await writeDurably(
      layout.config,
      renderConfig({
        identifier: labelled.name,
        endpoint: { kind: 'unix', path: layout.socket },
        pidFile: layout.pidFile,
        logFile: layout.log,
        asRoot: process.getuid?.() === 0,
        plugin: { directory: layout.directory, uidBase: isolatesUsers ? this.#options.uidBase : null },
      }),
    );
    const child = await launch({ supervisord, pluginDir, path, layout });
    this.#keep(labelled.name, child);
    try {
      await untilAnswering(child, layout, clock, startMs);
    } catch (error) {
      await endAll(marks, clock);
      throw error;
    }
  }

  /** Asked once; again after a failure, because somebody may have mended it. */
  async fit(): Promise<Fitness> {
    this.#fitness ??= checkFitness(this.#options);
    try {
      return await this.#fitness;
    } catch (error) {
      this.#fitness = null;
      throw error;
    }
  }

  // Private

  #keep(name: string, child: ChildProcess): void {
    this.#children.set(name, child);
    child.once('exit', () => {
      if (this.#children.get(name) === child) this.#children.delete(name);
      this.#onExit(name);
    });
  }
}
