import type { AgentObservation } from '../domain/agent.ts';
import type { AloneSample } from '../domain/usage.ts';
import type { World } from '../planner/world.ts';
import type { AloneStore } from '../store/usage-store.ts';
import { sampleKey, sampleOf } from './alone.ts';
import type { Writer } from './regular-writes.ts';

/** Versions of templates are few; these are for those who change theirs all day. */
const KEPT = 100;

/** The newest sample of each version of each template, also from earlier lives. */
export class AloneSamples implements Writer {
  readonly what = 'samples of bots alone in a container';
  readonly #store: AloneStore;
  readonly #samples = new Map<string, AloneSample>();
  readonly #looked = new WeakSet<AgentObservation>();
  #loaded = false;
  #changed = false;

  constructor(store: AloneStore) {
    this.#store = store;
  }

  /** By `sampleKey`. */
  get all(): ReadonlyMap<string, AloneSample> {
    return this.#samples;
  }

  /** Throws STORE_UNAVAILABLE. */
  async load(): Promise<void> {
    for (const sample of await this.#store.loadAlone()) {
      const key = sampleKey(sample);
      if (!this.#samples.has(key)) this.#samples.set(key, sample);
    }
    this.#loaded = true;
  }

  /** Each look counts once: of an older one it is not known when it was taken. */
  observe(world: World): void {
    for (const [container, agent] of world.agents) {
      if (agent.kind === 'unknown' || this.#looked.has(agent.value)) continue;
      this.#looked.add(agent.value);
      const sample = sampleOf(world, container, agent.value);
      if (sample !== null) this.#take(sample);
    }
  }

  async write(): Promise<void> {
    if (!this.#loaded) await this.load();
    if (!this.#changed) return;
    this.#changed = false;
    try {
      await this.#store.saveAlone([...this.#samples.values()].slice(-KEPT));
    } catch (error) {
      this.#changed = true;
      throw error;
    }
  }

  // Private

  /** The newest at the end. */
  #take(sample: AloneSample): void {
    this.#samples.delete(sampleKey(sample));
    this.#samples.set(sampleKey(sample), sample);
    this.#changed = true;
  }
}
