import type { BackupFacts } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import { hasCode } from '../domain/errors.ts';
import type { ApplyContext } from './executors.ts';
import { keepBackup, sendArchive } from './packing.ts';

/** Of everything unpacked, where no limit says: one TiB. */
const LARGEST_BYTES = 2 ** 40;

export interface Replacement {
  /** Name it is sent under. */
  readonly upload: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The bot's, by which the container knows whether the order is late. */
  readonly generation: number;
  readonly limit: 'own' | 'none';
  /** Take damaged databases as well. */
  readonly tolerate: boolean;
}

/** Backs up what a stopped bot has in a container before something takes its place, and tells of it. */
export async function keepPresent(
  { agents, backups, events }: Pick<ApplyContext, 'agents' | 'backups' | 'events'>,
  container: string,
  record: BotRecord,
): Promise<BackupFacts> {
  const facts = await keepBackup({ agents, shelf: backups }, container, record, 'before-restore');
  const good = facts.damaged.length === 0;
  events.emit({ type: 'bot.backup', bot: record.instanceId, backup: facts.id, good }, record.owner);
  return facts;
}

/** Sends an archive into a container and puts it in place of the bot's directory. Throws what the agent's `restore` does. */
export async function replaceData(
  { agents, templates }: Pick<ApplyContext, 'agents' | 'templates'>,
  container: string,
  record: BotRecord,
  { upload, chunks, generation, limit, tolerate }: Replacement,
): Promise<void> {
  const agent = await agents.get(container);
  const sha256 = await sendArchive(agent, record.instanceId, upload, chunks);
  const { diskBytes } = { ...templates.get(record.template)?.limits, ...record.limits };
  const maxBytes = limit === 'own' ? (diskBytes ?? LARGEST_BYTES) : LARGEST_BYTES;
  await agent.restore(record.instanceId, generation, { upload, sha256, maxBytes, tolerate });
}

/** Whether the container refused it for good: the same again would be refused again. */
export const isRefused = (error: unknown): boolean => hasCode(error, 'INVALID') || hasCode(error, 'UNSUPPORTED');
