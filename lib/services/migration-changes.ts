import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import type { DataFacts, MigrationPhase, MigrationRecord, OldLife } from '../domain/migration.ts';
import type { State } from '../domain/state.ts';
import type { Change } from '../store/store.ts';
import { addBot, type NewBot, putBot, reviseBot } from './bot-container-mapper.ts';

/**
 * The changes of migrations in the store, each a pure compare-and-set on the phase: null when the record is in another one, because
 * somebody else, or an earlier life, has done it already. What the phase means for the bot changes with it, in one step.
 */
export type MigrationChange = Change<MigrationRecord | null>;

export function findMigration(state: State, id: string): MigrationRecord {
  const found = state.migrations.get(id);
  if (found === undefined) throw new BunkhouseError('NOT_FOUND', `there is no migration of ${id}`);
  return found;
}

/** New ones, in place of those that failed, went back or are finished. One that is on its way or done stays as it is. */
export function addMigrations(records: readonly MigrationRecord[]): Change<readonly MigrationRecord[]> {
  return (state) => {
    const isKept = ({ phase }: MigrationRecord): boolean => !['failed', 'rolled-back', 'finished'].includes(phase);
    let { migrations } = state;
    const result = records.map((record) => {
      const there = migrations.get(record.instanceId);
      if (there !== undefined && isKept(there)) return there;
      migrations = migrations.put(record.instanceId, record);
      return record;
    });
    return { state: { ...state, migrations }, result };
  };
}

/** Its bot is made, held stopped. Throws CONFLICT when there is one of that id. */
export function prepareMigration(id: string, bot: NewBot, at: string): MigrationChange {
  return inPhase(id, 'waiting', (state, record) => {
    const added = addBot({ ...bot, desired: 'stopped' })(state);
    return entered(added.state, record, 'preparing', at);
  });
}

/** Given up before anything was done to it. */
export function refuseMigration(id: string, why: string, at: string): MigrationChange {
  return inPhase(id, 'waiting', (state, record) => entered(state, { ...record, why, endedAt: at }, 'failed', at));
}

/** How the old one was, before anything is done to it. */
export function noteOld(id: string, old: OldLife): MigrationChange {
  return inPhase(id, 'stopping', (state, record) => put(state, { ...record, old: record.old ?? old }));
}

export function turnMigration(id: string, from: MigrationPhase, to: MigrationPhase, at: string): MigrationChange {
  return inPhase(id, from, (state, record) => {
    if (to === 'stopping') return entered(state, record, to, at);
    return entered(to === 'removing' ? withoutBot(state, id) : state, record, to, at);
  });
}

/** The old one is dead. */
export function noteStopped(id: string, at: string): MigrationChange {
  return inPhase(id, 'stopping', (state, record) =>
    entered(state, { ...record, downSince: record.downSince ?? at }, 'copying', at),
  );
}

export interface Copied extends Pick<MigrationRecord, 'backup' | 'before' | 'database' | 'notes'> {
  readonly backup: string;
  readonly content: Pick<BotRecord, 'files' | 'env' | 'args'>;
}

/** Its data is a backup now, with which the bot is to come to life. */
export function noteCopied(id: string, { content, ...copied }: Copied, at: string): MigrationChange {
  return inPhase(id, 'copying', (state, record) => {
    const restore = { backup: copied.backup, replaces: false, kept: null, tolerate: false, since: at, failed: null };
    const revised = reviseBot(id, () => ({ ...content, restore }), true)(state);
    return entered(revised.state, { ...record, ...copied }, 'placing', at);
  });
}

/** The bot has what the old one had: it is now as that was. */
export function noteCompared(id: string, at: string): MigrationChange {
  return inPhase(id, 'comparing', (state, record) => {
    if (record.old?.ran !== true)
      return entered(state, { ...record, after: record.before, upSince: at, endedAt: at }, 'done', at);
    const desiredGeneration = state.generation + 1;
    const revised = reviseBot(id, () => ({ desired: 'running', desiredGeneration }), true)(state);
    return entered(revised.state, { ...record, ran: true }, 'proving', at);
  });
}

export function noteProven(id: string, after: DataFacts | null, notes: readonly string[], at: string): MigrationChange {
  return inPhase(id, 'proving', (state, record) => {
    const proven = { ...record, after, notes: [...record.notes, ...notes], upSince: at, endedAt: at };
    return entered(state, proven, 'done', at);
  });
}

/**
 * Back to the old one; `why` is empty when somebody asked for it. The bot is held stopped with the same change. Throws CONFLICT while it
 * moves, because its data may not be where it is seen, and when there is a bot of somebody else under that id by now.
 */
export function undoMigration(id: string, from: MigrationPhase, why: string, at: string): MigrationChange {
  return inPhase(id, from, (state, record) => {
    if (from === 'waiting')
      return entered(state, { ...record, why, endedAt: at }, why === '' ? 'rolled-back' : 'failed', at);
    const bot = state.bots.get(id);
    const back = { ...record, why, endedAt: null, upSince: from === 'done' ? null : record.upSince };
    if (bot === undefined) return entered(state, withNote(back, LOST, record.ran), 'leaving', at);
    checkReturnable(bot, record);
    const ran = record.ran || bot.desired !== 'stopped';
    if (bot.deleting) return entered(state, withNote(back, LOST, ran), 'leaving', at);
    const held = { desired: 'stopped', desiredGeneration: state.generation + 1, restore: null } as const;
    const revised = reviseBot(id, () => held, false)(state);
    return entered(revised.state, { ...back, ran, downSince: downSince(record, from, at) }, 'leaving', at);
  });
}

export function noteCarried(id: string, carried: string): MigrationChange {
  return inPhase(id, 'returning', (state, record) => put(state, { ...record, carried }));
}

/** What the bot did is in the old one again, or cannot be. The bot is archived and deleted next. */
export function noteReturned(id: string, notes: readonly string[], at: string): MigrationChange {
  return inPhase(id, 'returning', (state, record) =>
    entered(withoutBot(state, id), { ...record, notes: [...record.notes, ...notes] }, 'removing', at),
  );
}

/** The old one lives as before. Throws CONFLICT while there is a bot of that id, which might live as well. */
export function noteRevived(id: string, notes: readonly string[], at: string): MigrationChange {
  return inPhase(id, 'reviving', (state, record) => {
    refuseBot(state, id);
    const back = { ...record, notes: [...record.notes, ...notes], upSince: at, endedAt: at };
    return entered(state, back, record.why === '' ? 'rolled-back' : 'failed', at);
  });
}

export function refuseBot({ bots }: State, id: string): void {
  if (bots.has(id)) throw new BunkhouseError('CONFLICT', `there is a bot ${id} still; the old one stays stopped`);
}

export function noteCleared(id: string, at: string): MigrationChange {
  return inPhase(id, 'clearing', (state, record) => entered(state, record, 'finished', at));
}

/** A sentence for whoever looks after it; the same one is noted once. */
export function noteOnMigration(id: string, note: string): Change<boolean> {
  return (state) => {
    const record = state.migrations.get(id);
    if (record === undefined || record.notes.includes(note)) return { state, result: false };
    return { state: put(state, { ...record, notes: [...record.notes, note] }).state, result: true };
  };
}

// Private

const LOST = 'its bot was deleted meanwhile: what it did since is in the archive of the deleted bot';

type Changed = { readonly state: State; readonly result: MigrationRecord };

function inPhase(
  id: string,
  phase: MigrationPhase,
  change: (state: State, record: MigrationRecord) => Changed,
): MigrationChange {
  return (state) => {
    const record = findMigration(state, id);
    return record.phase === phase ? change(state, record) : { state, result: null };
  };
}

const put = (state: State, record: MigrationRecord): Changed => ({
  state: { ...state, migrations: state.migrations.put(record.instanceId, record) },
  result: record,
});

const entered = (state: State, record: MigrationRecord, phase: MigrationPhase, since: string): Changed =>
  put(state, { ...record, phase, since });

function checkReturnable({ instanceId, owner, template, move, deleting }: BotRecord, record: MigrationRecord): void {
  if (owner !== record.owner || template !== record.template)
    throw new BunkhouseError('CONFLICT', `${instanceId} is another bot by now, of ${owner}; delete it first`);
  if (move !== null && !deleting)
    throw new BunkhouseError('CONFLICT', `${instanceId} moves to another container just now; wait until it has`);
}

/** A rollback takes the bot away again, from this moment on. */
function downSince({ downSince: before }: MigrationRecord, from: MigrationPhase, at: string): string | null {
  return from === 'done' ? at : before;
}

function withNote(record: MigrationRecord, note: string, when: boolean): MigrationRecord {
  return when ? { ...record, notes: [...record.notes, note] } : record;
}

function withoutBot(state: State, id: string): State {
  const bot = state.bots.get(id);
  if (bot === undefined || bot.deleting) return state;
  const generation = state.generation + 1;
  return { ...putBot(state, { ...bot, deleting: true, generation }), generation };
}
