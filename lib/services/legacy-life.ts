import { BunkhouseError } from '../domain/errors.ts';
import { type DeploymentRef, type MigrationRecord, mustStayDead } from '../domain/migration.ts';
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
