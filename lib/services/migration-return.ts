import { posix } from 'node:path';
import { keptBot } from '../domain/backup.ts';
import type { DatabaseRule } from '../domain/discovery.ts';
import { BunkhouseError, hasCode } from '../domain/errors.ts';
import type { DataFacts, MigrationRecord } from '../domain/migration.ts';
import type { ForeignHost } from '../drivers/foreign-host.ts';
import { isoTime } from '../util/clock.ts';
import { fileChunks, innerPath, readPacked, readTar, type TreeWriter, tarOf } from '../util/tree.ts';
import { findBot } from './bot-container-mapper.ts';
import type { ApplyContext } from './executors.ts';
import { DATABASE_FILES, databaseParts, type Part, packParts } from './legacy-data.ts';
import { assertDead } from './legacy-life.ts';
import { isThere } from './legacy-look.ts';
import { type MigrationChange, noteCarried, noteOnMigration, noteReturned } from './migration-changes.ts';
import { differenceOf, inspected, lossOf } from './migration-proof.ts';
import { inSpool, lookAgain, type Work } from './migration-tools.ts';
import { keepBackup } from './packing.ts';
import { findBackup } from './restore-step.ts';

type Change = (record: MigrationRecord, what: MigrationChange) => Promise<unknown>;

/**
 * Carries what a bot did in the pool back to the old deployment: its present data is made a backup, and of that the database is put
 * where the old one had its own, which is kept beside under a name with the date. Nothing is written when nothing has changed, or
 * when the bot has less than it came with: then the old one goes on from where it was.
 */
export function returnData(
  context: ApplyContext,
  change: Change,
  ruleOf: (record: MigrationRecord) => DatabaseRule | null,
): Work {
  const { foreign, inspector, clock } = context;
  return async (record) => {
    const { instanceId, database, before } = record;
    const rule = ruleOf(record);
    const done = (...notes: string[]): Promise<unknown> =>
      change(record, noteReturned(instanceId, notes, isoTime(clock.now())));
    const carried = record.carried ?? (await keepPresent(context, record));
    if (database === null) return void (await done());
    const found = await inspected(inspector, await contentOf(context, carried), database, rule, before);
    if (differenceOf(before, found) === null) return void (await done());
    const loss = lossOf(before, found, rule);
    if (loss !== null || found.kind !== 'whole')
      return void (await done(
        `nothing was carried back, because ${loss ?? 'there is nothing'}; it is in the backup ${carried}`,
      ));
    await assertDead(foreign, record);
    const part = await partOf(context, record, database);
    await keepStranger(context, record, part, [before, found.facts], rule);
    const beside = `.before-rollback-${record.since.replaceAll(/[-:]|\.\d+/g, '')}`;
    await write(context, record, part, carried, beside);
    await verify(context, record, part, found.facts, rule);
    await done(
      `its database came back with what it did; the older one is beside it as ${posix.basename(part.old)}${beside}`,
    );
  };
}

// Private

async function keepPresent(context: ApplyContext, { instanceId }: MigrationRecord): Promise<string> {
  const { store, agents, backups } = context;
  const bot = findBot(store.current(), instanceId);
  if (bot.placement === null) throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} has no container`);
  const facts = await keepBackup({ agents, shelf: backups }, bot.placement.container, bot, 'migration');
  await store.update(noteCarried(instanceId, facts.id));
  return facts.id;
}

async function contentOf(context: ApplyContext, backup: string): Promise<AsyncIterable<Uint8Array>> {
  const found = await findBackup(context, backup);
  if (found === null) throw new BunkhouseError('NOT_FOUND', `the backup ${backup} is gone`);
  return found.shelf.content(found.facts);
}

/** Where the old one has its database: as its configuration says now, which must be what it said. */
async function partOf(context: ApplyContext, record: MigrationRecord, path: string): Promise<Part> {
  const look = await lookAgain(context, record);
  if (look === null)
    throw new BunkhouseError('NOT_FOUND', 'the old container was removed: what the bot did stays in its backup');
  if (look.database?.path === path) return look.database;
  throw new BunkhouseError(
    'CONFLICT',
    `the old one has its database elsewhere now; correct its configuration: it was ${path}`,
  );
}

/** What the old one did when somebody had it run meanwhile must not be lost either: it becomes a backup of its own. */
async function keepStranger(
  context: ApplyContext,
  record: MigrationRecord,
  part: Part,
  known: readonly (DataFacts | null)[],
  rule: DatabaseRule | null,
): Promise<void> {
  const { foreign, inspector, store, backups } = context;
  const { instanceId: bot, source } = record;
  await inSpool(context, bot, async (file) => {
    const packed = await packParts(foreign, source, databaseParts(part), file);
    const present = await inspected(inspector, fileChunks(file), part.path, rule);
    if (present.kind === 'absent' || known.some((facts) => differenceOf(facts, present) === null)) return;
    const draft = { bot, kind: 'migration', record: keptBot(findBot(store.current(), bot)), packed } as const;
    const { id } = await backups.save(draft, fileChunks(file));
    const note = `the old one was changed since it was stopped: its database as it was found is in the backup ${id}`;
    await store.update(noteOnMigration(bot, note));
  });
}

/**
 * Journals that lie beside the old database would be played back into the new one, so they are emptied, which is as good as none,
 * unless the new one has its own.
 */
async function write(
  context: ApplyContext,
  record: MigrationRecord,
  part: Part,
  carried: string,
  beside: string,
): Promise<void> {
  const { foreign } = context;
  const base = posix.basename(part.old);
  const owner = await ownerOf(foreign, record, part.old);
  const [before, now] = [record.backup, carried].map((id) => contentOf(context, id ?? ''));
  // Before it is written to: an engine answers no question about a container meanwhile, so both would wait for ever.
  const journals: string[] = [];
  for (const ending of DATABASE_FILES.slice(1))
    if (await isThere(foreign, { ref: record.source }, part.old + ending)) journals.push(ending);
  const names = new Map(databaseParts(part).map(({ path, old }) => [path, posix.basename(old)]));
  await foreign.writeTree(
    record.source,
    posix.dirname(part.old),
    tarOf(async (writer) => {
      await copy(writer, await (before ?? never()), owner, (path) => suffixed(names.get(path), base, beside));
      for (const ending of journals) await writer.add({ name: base + ending, size: 0, ...owner });
      await copy(writer, await (now ?? never()), owner, (path) => names.get(path) ?? null);
    }),
  );
}

/** `a.sqlite-wal` is kept as `a.sqlite.before-rollback-…-wal`, so that the three still belong together. */
function suffixed(name: string | undefined, base: string, beside: string): string | null {
  return name === undefined ? null : base + beside + name.slice(base.length);
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

async function ownerOf(host: ForeignHost, { source }: MigrationRecord, path: string): Promise<Owner> {
  try {
    for await (const { header } of readTar(host.readTree(source, path)))
      return { uid: header.uid, gid: header.gid, mode: header.mode };
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
  throw new BunkhouseError('CONFLICT', `${path} of the old one is gone; put it back, or any file owned by its user`);
}

async function copy(
  writer: TreeWriter,
  archive: AsyncIterable<Uint8Array>,
  owner: Owner,
  nameOf: (path: string) => string | null,
): Promise<void> {
  for await (const { header, content } of readPacked(archive)) {
    const name = nameOf(innerPath(header.name) ?? '');
    if (name !== null && header.type === 'file')
      await writer.add({ ...owner, name, size: header.size, mtime: header.mtime }, content);
  }
}

/** Reads back what was written: the old one is not started with less. */
async function verify(
  context: ApplyContext,
  record: MigrationRecord,
  part: Part,
  expected: DataFacts,
  rule: DatabaseRule | null,
): Promise<void> {
  await inSpool(context, record.instanceId, async (file) => {
    await packParts(context.foreign, record.source, databaseParts(part), file);
    const difference = differenceOf(expected, await inspected(context.inspector, fileChunks(file), part.path, rule));
    if (difference === null) return;
    throw new BunkhouseError('INTERNAL', `what was carried back does not read back as it was: ${difference}`);
  });
}

function never(): never {
  throw new BunkhouseError('INTERNAL', 'a migration without a backup cannot carry anything back');
}
