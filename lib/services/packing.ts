import { createHash } from 'node:crypto';
import type { ArchiveInfo } from '../domain/agent.ts';
import { type BackupFacts, type BackupKind, keptBot } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import type { Agent } from '../drivers/driver.ts';
import type { Agents } from './agents.ts';
import type { Dependencies } from './dependencies.ts';
import type { Shelf } from './shelf.ts';

/** Bytes that go in or out of a container at a time. */
export const PIECE_BYTES = 256 * 1024;

/** Packs a stopped bot's whole directory as it is, and keeps it. Returns the archive's name. */
export async function keepArchive(
  { agents, archives, store }: Pick<Dependencies, 'archives' | 'store'> & { readonly agents: Agents },
  container: string,
  bot: string,
): Promise<string> {
  const agent = await agents.get(container);
  const packed = await agent.archive(bot);
  const known = store.current().bots.get(bot);
  const record = known === undefined ? null : keptBot(known);
  const { id } = await archives.save({ bot, kind: 'deleted', record, packed }, fetched(agent, bot, packed));
  await agent.discardArchive(packed.archive);
  return `${id}.tar.gz`;
}

/** Packs a bot's directory, whether it runs or not, and keeps it. */
export async function keepBackup(
  { agents, shelf }: { readonly agents: Agents; readonly shelf: Shelf },
  container: string,
  bot: BotRecord,
  kind: BackupKind,
): Promise<BackupFacts> {
  const agent = await agents.get(container);
  const packed = await agent.backup(bot.instanceId);
  const draft = { bot: bot.instanceId, kind, record: keptBot(bot), packed };
  const facts = await shelf.save(draft, fetched(agent, bot.instanceId, packed));
  // It is safe already; a container that forgets to throw its copy away loses it with the next one.
  await agent.discardArchive(packed.archive).catch(() => {});
  return facts;
}

/** Sends an archive to where it is to be restored. Returns its SHA-256. */
export async function sendArchive(
  agent: Agent,
  bot: string,
  upload: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<string> {
  const hash = createHash('sha256');
  let offset = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.subarray(at, at + PIECE_BYTES);
      await agent.sendArchive(bot, upload, offset, piece);
      offset += piece.length;
    }
  }
  return hash.digest('hex');
}

/** Under what name something is sent: the same again takes the place of what was sent of it before. */
export function uploadName(archive: string, occasion: string): string {
  return createHash('sha256').update(`${archive} ${occasion}`).digest('hex').slice(0, 16);
}

/** The bytes of an archive in a container. */
export async function* fetched(agent: Agent, bot: string, { archive, bytes }: ArchiveInfo): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes; ) {
    const chunk = await agent.fetchArchive(archive, offset, PIECE_BYTES);
    if (chunk.length === 0) throw new BunkhouseError('AGENT_UNAVAILABLE', `the archive of ${bot} ended too soon`);
    offset += chunk.length;
    yield chunk;
  }
}
