import { messageOf } from '../domain/errors.ts';
import { planExpiry } from '../planner/expiry.ts';
import type { Dependencies } from './dependencies.ts';
import type { Shelf } from './shelf.ts';

type ExpiryDependencies = Pick<Dependencies, 'store' | 'backups' | 'archives' | 'clock' | 'log'>;

const EVERY_MS = 3_600_000;

/** Throws away what is kept of deleted bots for too long, until `signal` aborts. `days` null: never. */
export async function expireForEver(deps: ExpiryDependencies, days: number | null, signal: AbortSignal): Promise<void> {
  while (days !== null && !signal.aborted) {
    await expire(deps, days).catch((error: unknown) =>
      deps.log.warn({}, `what is kept of deleted bots cannot be looked at: ${messageOf(error)}`),
    );
    await deps.clock.sleep(EVERY_MS, signal);
  }
}

/** What cannot be thrown away now, or is being restored from, is the next time. */
export async function expire(deps: ExpiryDependencies, days: number): Promise<void> {
  const { store, clock } = deps;
  const [archives, backups] = await Promise.all([deps.archives.list(), deps.backups.list()]);
  const isLiving = (bot: string, owner: string | null): boolean => store.current().bots.get(bot)?.owner === owner;
  const gone = planExpiry({ archives, backups }, isLiving, { days, now: clock.now() });
  for (const id of gone.backups) await remove(deps, deps.backups, id);
  for (const id of gone.archives) await remove(deps, deps.archives, id);
}

// Private

async function remove({ store, log }: ExpiryDependencies, shelf: Shelf, id: string): Promise<void> {
  if (store.current().bots.records.some(({ restore }) => restore?.backup === id)) return;
  await shelf.remove(id).then(
    () => log.info({ id, place: shelf.place }, 'thrown away: its bot was deleted long ago'),
    (error: unknown) => log.warn({ id, place: shelf.place }, `${id} stays: ${messageOf(error)}`),
  );
}
