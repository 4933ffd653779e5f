import { messageOf } from '../domain/errors.ts';
import { type MigrationRecord, mustStayDead } from '../domain/migration.ts';
import type { Deployment } from '../drivers/foreign-host.ts';
import type { Dependencies } from './dependencies.ts';
import { isItself, NO_RESTART, revenants, revive } from './legacy-life.ts';
import { noteOnMigration } from './migration-changes.ts';

/** How often is looked whether an old one that must be dead still is. */
const WATCH_MS = 10_000;

/** Sees that old deployments stay dead whose bots are in the pool, or on their way. */
export class Revenants {
  readonly #deps: Pick<Dependencies, 'store' | 'foreign' | 'templates' | 'events' | 'clock' | 'log'>;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  async watch(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(WATCH_MS, signal);
      if (signal.aborted) return;
      await this.look().catch((error: unknown) =>
        log.warn({}, `whether old deployments are still dead cannot be told: ${messageOf(error)}`),
      );
    }
  }

  /** Stops what somebody has started again; what is not ours to stop is told. */
  async look(): Promise<void> {
    const { foreign, store } = this.#deps;
    // What was to be dead before it was looked at, and still is.
    const before = store.current().migrations.records.filter(mustStayDead);
    if (before.length === 0) return;
    const { found } = await foreign.list(null);
    for (const { migration, deployment } of revenants(before, found))
      if (this.#mustStayDead(migration)) await this.#layToRest(migration, deployment);
  }

  // Private

  #mustStayDead({ instanceId }: MigrationRecord): boolean {
    const now = this.#deps.store.current().migrations.get(instanceId);
    return now !== undefined && mustStayDead(now);
  }

  async #layToRest(migration: MigrationRecord, deployment: Deployment): Promise<void> {
    const { foreign, templates } = this.#deps;
    const { source, template, old } = migration;
    const stopped = isItself(source, deployment) && deployment.state === 'running';
    if (stopped) {
      await foreign.setRestartPolicy(source, NO_RESTART);
      await foreign.stop(source, templates.get(template)?.stop.graceSeconds ?? 30);
      // Rolled back meanwhile: it is to live now.
      if (!this.#mustStayDead(migration)) return void (await revive(foreign, source, old));
    }
    await this.#tell(migration, deployment, stopped);
  }

  /** Once for each that goes on living, each time for one that was stopped. */
  async #tell({ instanceId: bot, owner }: MigrationRecord, { name }: Deployment, stopped: boolean): Promise<void> {
    const { store, events, log } = this.#deps;
    const did = stopped ? 'it was stopped again' : 'stop it';
    const note = `${name} was started although ${bot} is in the pool: ${did}; to go back: bunkhouse migrate --rollback ${bot}`;
    if (!(await store.update(noteOnMigration(bot, note))) && !stopped) return;
    log.warn({ bot, container: name }, note);
    events.emit({ type: 'migration.revenant', bot, container: name, stopped }, owner);
  }
}
