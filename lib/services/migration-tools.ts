import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BunkhouseError } from '../domain/errors.ts';
import type { MigrationRecord } from '../domain/migration.ts';
import type { Template } from '../domain/template.ts';
import type { Deployment } from '../drivers/foreign-host.ts';
import { matchDeployment } from '../planner/discovery.ts';
import type { ApplyContext } from './executors.ts';
import { type LegacyLook, lookAtLegacy, type Matched } from './legacy-look.ts';

export type Work = (record: MigrationRecord) => Promise<void>;

/** Tells of a phase that was entered. */
export function tellPhase(
  { events }: Pick<ApplyContext, 'events'>,
  { phase: from }: Pick<MigrationRecord, 'phase'>,
  { instanceId: bot, phase: to, why, owner }: MigrationRecord,
): void {
  events.emit({ type: 'migration.phase', bot, from, to, why }, owner);
}

/** A deployment as it is now; null: it is gone. */
export async function lookAgain(
  { foreign, templates }: Pick<ApplyContext, 'foreign' | 'templates'>,
  record: MigrationRecord,
): Promise<LegacyLook | null> {
  const deployment = await foreign.inspect(record.source);
  return deployment === null ? null : lookAtLegacy(foreign, deployment, matchAgain(templates, deployment));
}

/** Work with a new file of its own, which is gone afterwards. */
export async function inSpool<T>(
  { spool }: Pick<ApplyContext, 'spool'>,
  id: string,
  work: (file: string) => Promise<T>,
): Promise<T> {
  await mkdir(spool, { recursive: true, mode: 0o700 });
  const file = join(spool, `${id}.tar.gz`);
  await rm(file, { force: true });
  try {
    return await work(file);
  } finally {
    await rm(file, { force: true });
  }
}

// Private

function matchAgain(templates: ReadonlyMap<string, Template>, deployment: Deployment): Matched {
  const match = matchDeployment(deployment, templates);
  if (match.kind === 'match') return match;
  throw new BunkhouseError('INVALID', match.why);
}
