import type { MigrationView } from '../../services/migration-api.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { endLines } from './migration-text.ts';

const EVERY_MS = 500;
/** A supervisor that was killed is started again by its service manager, and goes on where it was. */
const PATIENCE_MS = 120_000;
/** Shorter than this, something is held up all the time. */
const HELD_MS = 5_000;
const BAR_CELLS = 20;

export const migrationPath = (id: string, rest = ''): string => `/api/migrations/${encodeURIComponent(id)}${rest}`;

/**
 * Watches migrations until all are over and returns them as they ended: a bar on a terminal, else a line for each phase.
 * A supervisor that goes away meanwhile is waited for. Throws CliFailure.
 */
export async function follow(context: Context, begun: readonly MigrationView[]): Promise<readonly MigrationView[]> {
  const latest = new Map(begun.map((migration) => [migration.id, migration]));
  const told = new Map<string, Told>();
  for (;;) {
    for (const migration of latest.values()) told.set(migration.id, tell(context, migration, told.get(migration.id)));
    const open = [...latest.values()].filter(({ over }) => !over);
    if (open.length === 0) break;
    if (context.progress.live) context.progress.update(barLine([...latest.values()]));
    await context.sleep(EVERY_MS);
    for (const { id } of open) latest.set(id, await look(context, id));
  }
  context.progress.clear();
  return [...latest.values()];
}

/** `[#####---------------] 2 of 8  alice: proving, bob: copying`. */
export function barLine(migrations: readonly MigrationView[]): string {
  const ended = migrations.filter(({ over }) => over).length;
  const full = Math.floor((BAR_CELLS * ended) / migrations.length);
  const moving = migrations.filter(({ over, phase }) => !over && phase !== 'waiting');
  const bar = '#'.repeat(full) + '-'.repeat(BAR_CELLS - full);
  return `[${bar}] ${ended} of ${migrations.length}  ${moving.map(({ id, phase }) => `${id}: ${phase}`).join(', ')}`;
}

// Private

/** What was said last of one, and when. */
interface Told {
  readonly phase: string;
  readonly held: string;
  readonly at: number;
}

/** Says what is new: on a terminal how each ended, elsewhere each phase as well, and always what holds one up for longer. */
function tell(context: Context, migration: MigrationView, before: Told | undefined): Told {
  const { id, phase, held, over } = migration;
  const now = context.now();
  if (before?.phase !== phase) {
    if (over) for (const text of endLines(migration)) context.progress.done(text);
    else if (!context.progress.live) context.progress.done(`${id}: ${phase}`);
    return { phase, held: '', at: now };
  }
  if (phase === 'waiting' || held === '' || held === before.held || now - before.at < HELD_MS) return before;
  context.progress.done(`${id}: ${phase}, held up: ${held}`);
  return { phase, held, at: now };
}

async function look(context: Context, id: string): Promise<MigrationView> {
  const end = context.now() + PATIENCE_MS;
  for (;;) {
    try {
      return (await context.client.call<MigrationView>('GET', migrationPath(id))).json;
    } catch (error) {
      if (!isAway(error) || context.now() >= end) throw error;
      context.progress.update('the supervisor does not answer; the migration goes on when it is back');
      await context.sleep(EVERY_MS);
    }
  }
}

const isAway = (error: unknown): boolean => error instanceof CliFailure && error.exitCode === EXIT.unavailable;
