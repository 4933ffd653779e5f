import { release } from 'node:os';
import type { Logger } from '../../../util/logger.ts';
import type { Housing } from './confine.ts';
import { Confiner } from './confiner.ts';
import { readTrees } from './host.ts';
import type { Trees } from './trees.ts';

export interface OutsideOptions {
  /** Release of the engine's kernel. */
  readonly kernel: () => Promise<string>;
  /** Uid of the bot on a port. */
  readonly uidOf: (port: number) => number;
  readonly log: Logger;
}

/** Cgroups for the bots of one engine's containers, made from outside where this process may. */
export class Outside {
  readonly #options: OutsideOptions;
  readonly #told = new Set<string>();
  #trees: Trees | null = null;

  constructor(options: OutsideOptions) {
    this.#options = options;
  }

  /** Asked once: neither the machine of the engine nor our own rights change while we live. */
  async trees(): Promise<Trees> {
    this.#trees ??= await treesFor(await this.#options.kernel());
    return this.#trees;
  }

  /** `housing`: the container now; null while it does not run. */
  confiner(container: string, housing: () => Promise<Housing | null>): Confiner {
    const onFailure = (reason: string): void => this.#tellOnce(container, reason);
    return new Confiner({ housing, trees: () => this.trees(), uidOf: this.#options.uidOf, onFailure });
  }

  /** The same would be said of every container, and again at every sweep. */
  #tellOnce(container: string, reason: string): void {
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#options.log.warn({ container, reason }, 'bots are without cgroups of their own');
  }
}

async function treesFor(kernel: string): Promise<Trees> {
  if (kernel === release()) return readTrees();
  return { kind: 'none', reason: `the Docker engine runs on another machine (kernel ${kernel}, here ${release()})` };
}
