import { BunkhouseError } from '../domain/errors.ts';
import type { MigrationPhase, MigrationRecord } from '../domain/migration.ts';
import type { Template } from '../domain/template.ts';
import { isoTime } from '../util/clock.ts';
import { fileChunks } from '../util/tree.ts';
import { findBot } from './bot-container-mapper.ts';
import { newBot } from './bots.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { contentOf, packParts, partsOf } from './legacy-data.ts';
import { assertAlone, assertDead, NO_RESTART, revive } from './legacy-life.ts';
import {
  type MigrationChange,
  noteCleared,
  noteCompared,
  noteCopied,
  noteOld,
  noteProven,
  noteRevived,
  noteStopped,
  prepareMigration,
  refuseBot,
  refuseMigration,
  turnMigration,
  undoMigration,
} from './migration-changes.ts';
import { changesOf, differenceOf, inspected, lossOf } from './migration-proof.ts';
import { returnData } from './migration-return.ts';
import { inSpool, lookAgain, tellPhase, type Work } from './migration-tools.ts';
import { fetched } from './packing.ts';

/** How migrations are carried out: what is done in each phase. Every one may be broken off anywhere and done again. */
export function migrationExecutors(
  context: ApplyContext,
): Pick<Executors, 'migrate' | 'turnMigration' | 'undoMigration'> {
  const { store, events, clock, foreign, inspector, templates } = context;
  const now = (): string => isoTime(clock.now());

  const change = async (record: MigrationRecord, what: MigrationChange): Promise<MigrationRecord | null> => {
    const after = await store.update(what);
    if (after === null || after.phase === record.phase) return after;
    tellPhase(context, record, after);
    return after;
  };
  const goBack = (record: MigrationRecord, why: string): Promise<unknown> =>
    change(record, undoMigration(record.instanceId, record.phase, why, now()));
  const ruleOf = (record: MigrationRecord) => discoveryOf(templates, record).rule;

  const work: Partial<Record<MigrationPhase, Work>> = {
    /** Nothing is done to it before everything was looked at once more. */
    async waiting(record) {
      const { instanceId } = record;
      const look = await lookAgain(context, record);
      const trouble = look === null ? 'it is gone' : look.problems.find((problem) => problem.blocking)?.message;
      if (look === null || trouble !== undefined)
        return void (await change(record, refuseMigration(instanceId, trouble ?? '', now())));
      try {
        const { template, owner } = record;
        const bot = newBot(
          { ...context, defaultTemplate: template },
          { role: 'admin' },
          { instanceId, template, owner, ...contentOf(look), desired: 'stopped' },
        );
        await change(record, prepareMigration(instanceId, bot, now()));
        events.emit({ type: 'bot.created', bot: instanceId, owner, template }, owner);
      } catch (error) {
        if (!(error instanceof BunkhouseError) || error.code === 'STORE_UNAVAILABLE') throw error;
        await change(record, refuseMigration(instanceId, error.message, now()));
      }
    },

    async stopping(record) {
      const { instanceId, source, template } = record;
      const deployment = await foreign.inspect(source);
      if (deployment === null) return void (await goBack(record, 'it was removed meanwhile'));
      if (deployment.state === 'unknown')
        throw new BunkhouseError('DRIVER_UNAVAILABLE', `whether it lives cannot be told: ${deployment.note}`);
      if (record.old === null) await assertAlone(foreign, deployment);
      const { restartPolicy } = deployment;
      await store.update(noteOld(instanceId, { ran: deployment.state === 'running', restartPolicy }));
      if (restartPolicy !== null) await foreign.setRestartPolicy(source, NO_RESTART);
      await foreign.stop(source, templates.get(template)?.stop.graceSeconds ?? 30);
      await assertDead(foreign, record);
      await change(record, noteStopped(instanceId, now()));
    },

    async copying(record) {
      const { instanceId } = record;
      await assertDead(foreign, record);
      const look = await lookAgain(context, record);
      if (look === null) return void (await goBack(record, 'it was removed meanwhile'));
      const trouble = look.problems.find((problem) => problem.blocking);
      if (trouble !== undefined) return void (await goBack(record, trouble.message));
      await inSpool(context, instanceId, async (file) => {
        const packed = await packParts(foreign, record.source, partsOf(look), file);
        const path = look.database?.path ?? null;
        const found = await inspected(inspector, fileChunks(file), path, look.match.rule.database);
        if (found.kind === 'damaged') return goBack(record, `its database ${path} is damaged: ${found.why}`);
        const bot = findBot(store.current(), instanceId);
        const content = contentOf(look);
        const { template, owner, group, location, limits, secrets, createdAt } = bot;
        const kept = { template, owner, group, location, limits, secrets, createdAt, ...content };
        const desired = record.old?.ran === true ? 'running' : 'stopped';
        const draft = { bot: instanceId, kind: 'migration', record: { ...kept, desired }, packed } as const;
        const { id: backup } = await context.backups.save(draft, fileChunks(file));
        const before = found.kind === 'whole' ? found.facts : null;
        const notes = [...record.notes, ...packed.skipped.map(({ path: left, why }) => `left out: ${left}, ${why}`)];
        return change(record, noteCopied(instanceId, { backup, before, database: path, content, notes }, now()));
      });
    },

    /** The bot is held stopped, so what it has must be the same to the last row. */
    async comparing(record) {
      const found = await inspectBot(context, record);
      const difference = differenceOf(record.before, found);
      if (difference !== null) return void (await goBack(record, difference));
      await assertDead(foreign, record);
      await change(record, noteCompared(record.instanceId, now()));
    },

    /** It trades already, so it may have more than it had, never less. */
    async proving(record) {
      const found = await inspectBot(context, record);
      const loss = lossOf(record.before, found, ruleOf(record).database);
      if (loss !== null) return void (await goBack(record, loss));
      const after = found.kind === 'whole' ? found.facts : null;
      await change(record, noteProven(record.instanceId, after, changesOf(record.before, after), now()));
    },

    returning: returnData(context, change, (record) => ruleOf(record).database),

    async reviving(record) {
      const { instanceId, source, old } = record;
      refuseBot(store.current(), instanceId);
      const notes = await revive(foreign, source, old);
      await change(record, noteRevived(instanceId, notes, now()));
    },

    async clearing(record) {
      await assertDead(foreign, record);
      await foreign.remove(record.source);
      await change(record, noteCleared(record.instanceId, now()));
    },
  };

  return {
    async migrate({ bot, phase }) {
      const record = store.current().migrations.get(bot);
      if (record?.phase === phase) await work[phase]?.(record);
    },
    async turnMigration({ bot, from, to }) {
      const record = store.current().migrations.get(bot);
      if (record !== undefined) await change(record, turnMigration(bot, from, to, now()));
    },
    async undoMigration({ bot, from, why }) {
      const record = store.current().migrations.get(bot);
      if (record !== undefined) await change(record, undoMigration(bot, from, why, now()));
    },
  };
}

// Private

async function inspectBot(context: ApplyContext, record: MigrationRecord) {
  const { instanceId, database, before } = record;
  const { placement } = findBot(context.store.current(), instanceId);
  if (placement === null) throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} has no container yet`);
  const agent = await context.agents.get(placement.container);
  const packed = await agent.backup(instanceId);
  const { rule } = discoveryOf(context.templates, record);
  const archive = fetched(agent, instanceId, packed);
  const found = await inspected(context.inspector, archive, database, rule.database, before);
  await agent.discardArchive(packed.archive).catch(() => {});
  return found;
}

function discoveryOf(templates: ReadonlyMap<string, Template>, { template }: Pick<MigrationRecord, 'template'>) {
  const known = templates.get(template);
  if (known?.discovery !== undefined && known.discovery !== null) return { template: known, rule: known.discovery };
  throw new BunkhouseError('INVALID', `the template ${template} is gone, or has no discovery any more; add it again`);
}
