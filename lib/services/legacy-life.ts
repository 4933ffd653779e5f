import { BunkhouseError, hasCode } from '../domain/errors.ts';
import { type DeploymentRef, type MigrationRecord, mustStayDead, type OldLife } from '../domain/migration.ts';
import type { Deployment, ForeignHost } from '../drivers/foreign-host.ts';

export const NO_RESTART = { name: 'no', maximumRetryCount: 0 } as const;

/** Who lives, or may live, with the files of a deployment: it itself, another one of its name, or one that writes to the same. */
export function livingTwins(
  source: DeploymentRef,
  mounts: Deployment['mounts'],
  found: readonly Deployment[],
): readonly Deployment[] {
  const written = new Set(
    mounts.filter(({ readOnly }) => !readOnly).map(({ kind, source: from }) => `${kind} ${from}`),
  );
  return found.filter(
    (other) =>
      other.state !== 'stopped' &&
      (isSame(source, other) ||
        other.mounts.some((mount) => !mount.readOnly && written.has(`${mount.kind} ${mount.source}`))),
  );
}

/** Throws CONFLICT while others live with its files: it would be stopped, and then nothing could be done. */
export async function assertAlone(host: ForeignHost, own: Deployment): Promise<void> {
  const { found } = await host.list(null);
  const twin = livingTwins(own.ref, own.mounts, found).find((other) => !isItself(own.ref, other));
  if (twin !== undefined) throw alive(twin);
}

/** Resolves when the old one is proven dead, and nobody else has its files. Throws CONFLICT, or what says that it is unknown. */
export async function assertDead(host: ForeignHost, { source }: Pick<MigrationRecord, 'source'>): Promise<void> {
  const own = await host.inspect(source);
  if (own !== null && own.state !== 'stopped') throw alive(own);
  const { found, trouble } = await host.list(null);
  // Of a folder, that no process of the machine has it open says it already.
  if (trouble.length > 0 && source.kind === 'container')
    throw new BunkhouseError('DRIVER_UNAVAILABLE', `whether the old one is dead cannot be told: ${trouble.join('; ')}`);
  const [twin] = livingTwins(source, own?.mounts ?? [], found);
  if (twin !== undefined) throw alive(twin);
}

/**
 * Gives it back its policy and, if it ran, its life. Null: nothing was done to it. The policy comes first: once it is started nobody
 * need come back for it. Returns what is to be known, a sentence each.
 */
export async function revive(
  host: ForeignHost,
  source: DeploymentRef,
  old: OldLife | null,
): Promise<readonly string[]> {
  if (old === null) return [];
  try {
    if (old.restartPolicy !== null) await host.setRestartPolicy(source, old.restartPolicy);
    if (!old.ran) return [];
    await host.start(source);
    const after = await host.inspect(source);
    if (after?.state === 'running') return [];
    throw new BunkhouseError('BOT_UNAVAILABLE', `the old one was started and does not run: ${after?.note ?? 'gone'}`);
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    return ['the old container was removed by somebody: nothing could be started again'];
  }
}

/** Those that are to be dead and are not, or may not be. */
export function revenants(
  migrations: readonly MigrationRecord[],
  found: readonly Deployment[],
): readonly { readonly migration: MigrationRecord; readonly deployment: Deployment }[] {
  return migrations.filter(mustStayDead).flatMap((migration) => {
    const mounts = found.find((one) => isSame(migration.source, one))?.mounts ?? [];
    return livingTwins(migration.source, mounts, found).map((deployment) => ({ migration, deployment }));
  });
}

export const isItself = (source: DeploymentRef, { ref }: Deployment): boolean =>
  source.kind === 'container' && ref.kind === 'container' ? source.id === ref.id : isSameFolder(source, ref);

// Private

/** A container that was made anew under its name is the same bot. */
function isSame(source: DeploymentRef, { ref, name }: Deployment): boolean {
  if (source.kind === 'container') return source.name === name || (ref.kind === 'container' && ref.id === source.id);
  return isSameFolder(source, ref);
}

const isSameFolder = (a: DeploymentRef, b: DeploymentRef): boolean =>
  a.kind === 'folder' && b.kind === 'folder' && a.path === b.path;

function alive({ name, state, note }: Deployment): BunkhouseError {
  const what = state === 'running' ? 'runs' : `may run (${note})`;
  return new BunkhouseError(
    'CONFLICT',
    `${name} ${what} with the files of the bot; stop it: two of one bot must never live`,
  );
}
