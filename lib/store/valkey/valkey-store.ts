import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { z } from 'zod';
import { BunkhouseError } from '../../domain/errors.ts';
import { emptyState, SCHEMA_VERSION, type State } from '../../domain/state.ts';
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/logger.ts';
import { check, decodeState } from '../decode.ts';
import { GroupCommit } from '../group-commit.ts';
import { occupiedBy, settleHome } from '../home.ts';
import { MIGRATIONS, type Migration } from '../migrations.ts';
import type { Store } from '../store.ts';
import { Connection } from './connection.ts';
import { type CommitSteps, type Contents, readContents, readRecords, replacingSteps, withHome } from './contents.ts';
import { durabilityWarning } from './durability.ts';
import { Lease } from './lease.ts';
import { type Keys, keysOf, nameOf, type ValkeyLocation } from './location.ts';
import { checkMarker, leaveMarker } from './marker.ts';
import { ValkeyLedger } from './valkey-ledger.ts';

export interface ValkeyStoreOptions {
  readonly location: ValkeyLocation;
  readonly clock: Clock;
  readonly log: Logger;
  /** Names the machine or engine that has the containers. Empty: what the server says of it is forgotten. */
  readonly home: string;
  /** Absolute path of a file that tells a server that lost everything from a new one. */
  readonly marker: string;
  readonly migrations?: ReadonlyMap<number, Migration>;
  /** Called once when somebody else leads and this process waits. */
  readonly onStandby?: (leader: string) => void;
}

export interface ValkeyStore extends Store {
  /** Resolves when another process leads, or may: nothing can be committed any more. */
  readonly lost: Promise<BunkhouseError>;
}

/**
 * The store in a Valkey or Redis server. Waits as a standby until this process leads, then reads everything. Throws
 * STORE_UNAVAILABLE when the server cannot be reached or refuses, CONFLICT when the state tells of containers elsewhere,
 * STORE_CORRUPT for what is not a valid state (it is left as it is), UNSUPPORTED for one of a newer version.
 */
export async function openValkeyStore(options: ValkeyStoreOptions): Promise<ValkeyStore> {
  const { location, clock, log, onStandby = () => {} } = options;
  const connection = await Connection.open(location, clock, log);
  try {
    const warning = await durabilityWarning(connection);
    if (warning !== null) log.warn({ state: nameOf(location) }, warning);
    const keys = keysOf(location);
    await checkHome(connection, keys, options);
    const owner = `${hostname()} pid ${process.pid} ${randomBytes(6).toString('hex')}`;
    const lease = await Lease.acquire({ connection, keys, owner, ms: location.leaseMs, clock, log, onStandby });
    return await lead(options, connection, lease).catch(async (error: unknown) => {
      await lease.release();
      throw error;
    });
  } catch (error) {
    connection.close();
    throw error;
  }
}

// Private

async function lead(options: ValkeyStoreOptions, connection: Connection, lease: Lease): Promise<ValkeyStore> {
  const { location, clock, log, marker, migrations = MIGRATIONS } = options;
  const keys = keysOf(location);
  const { contents, state } = await explained(location, async () => {
    const found = await readContents(connection, keys);
    await checkMarker(marker, found);
    const kept = found === null ? emptyState(randomUUID()) : decodeState(found.document, migrations);
    return { contents: found, state: kept };
  });
  const known = contents?.home ?? null;
  const occupied = occupiedBy(Object.values(state.containers));
  const home = settleHome({ known, home: options.home, occupied, state: nameOf(location) });
  const ledger = new ValkeyLedger({ connection, lease, keys, clock, last: contents?.commit ?? '' });
  await ledger.write(withHome(firstSteps(contents, state, keys), home));
  await leaveMarker(marker, state.installation);
  log.info({ state: nameOf(location), fence: lease.fence }, 'this process leads');
  const store = new GroupCommit(state, ledger);
  return {
    current: () => store.current(),
    update: (change) => store.update(change),
    settled: () => store.settled(),
    close: () => store.close(),
    lost: lease.lost,
  };
}

/** The first commit of a leader; it also proves that writing works. */
function firstSteps(contents: Contents | null, state: State, keys: Keys): CommitSteps {
  if (contents?.document.schema === SCHEMA_VERSION) return { keys: [], steps: [] };
  return replacingSteps(state, contents?.document ?? {}, keys);
}

/** Before it waits for a lead that it must not take. */
async function checkHome(connection: Connection, keys: Keys, { home, location }: ValkeyStoreOptions): Promise<void> {
  const known = await connection.readField(keys.meta, 'home');
  const containers = await explained(location, async () =>
    check(z.array(z.object({ pool: z.string() })), await readRecords(connection, keys, 'containers')),
  );
  settleHome({ known, home, occupied: occupiedBy(containers), state: nameOf(location) });
}

async function explained<T>(location: ValkeyLocation, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BunkhouseError)) throw error;
    if (error.code !== 'STORE_CORRUPT') throw new BunkhouseError(error.code, `${nameOf(location)}: ${error.message}.`);
    const next = "Put back a copy of the server's data (its AOF or RDB file), or set another prefix to begin anew.";
    const message = `The state at ${nameOf(location)} is not valid: ${error.message}. It was left as it is. ${next}`;
    throw new BunkhouseError('STORE_CORRUPT', message);
  }
}
