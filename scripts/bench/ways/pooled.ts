import { randomBytes } from 'node:crypto';
import type Docker from 'dockerode';
import { mapLimited } from '../../../lib/util/limit.ts';
import { createSandbox, type Sandbox } from '../../../test/e2e/support.ts';
import { DOCKER_HOST, installationOf, removeAllOf } from '../../../test/support/docker-harness.ts';
import { descendantsOf, listProcesses, mergesPages, realUid } from '../../lib/host-processes.ts';
import { type ContainerProcesses, containerProcesses } from './engine.ts';
import { mergingTemplate, TEMPLATE_MERGING } from './merging.ts';
import { observePools } from './observing.ts';
import { traderOn } from './trader.ts';
import type { Census, Ground, Way } from './way.ts';

/** How a pooled way differs from the others. */
export interface PooledKind {
  readonly name: string;
  readonly note: string;
  readonly driver: 'process' | 'docker';
  readonly spawn: 'prefork' | 'exec';
  readonly merge: boolean;
}

/** One that can be looked into. */
export interface PooledWay extends Way {
  readonly sandbox: Sandbox;
  /** The uid of a bot of its own. */
  uid(id: string): Promise<number>;
  /** The supervisord of each container, with the host's pids. */
  supervisords(): Promise<readonly number[]>;
}

/** A bot's uid is this number plus its port. */
const UID_BASE = { docker: 1_000_000, process: 100_000 } as const;
const GONE_SECONDS = 120;

/** Bunkhouse with one pool container for all bots. */
export async function openPooled(
  ground: Ground,
  kind: PooledKind,
  { basePort, capacity }: { readonly basePort: number; readonly capacity: number },
): Promise<PooledWay> {
  const sandbox = await createSandbox({
    basePort,
    env: {
      POOL_DRIVER: kind.driver,
      DOCKER_HOST,
      INSTANCE_NAME: `bench-${randomBytes(4).toString('hex')}`,
      MAX_BOTS_PER_CONTAINER: String(capacity),
      UID_BASE: String(UID_BASE.process),
    },
    ...(kind.merge ? { templates: await mergingTemplate() } : {}),
  });
  const close = (): Promise<void> => closeSandbox(sandbox, ground.engine);
  try {
    await sandbox.start();
  } catch (error) {
    await close();
    throw error;
  }
  const { client } = sandbox;
  const asked = new Set<string>();
  const ports = new Map<string, number>();

  async function create(id: string): Promise<void> {
    const bot = await traderOn(ground, id);
    const env = kind.spawn === 'exec' ? { BUNKHOUSE_PREFORK: 'off' } : {};
    const template = kind.merge ? TEMPLATE_MERGING : bot.template;
    const created = { ...bot, template, env };
    await client.create(created);
    asked.add(id);
  }

  async function portOf(id: string): Promise<number> {
    const known = ports.get(id);
    if (known !== undefined) return known;
    const port = await sandbox.until(`${id} has a port`, async () => {
      // It may be asked for before the request that makes it was answered.
      const bots = await client.bots();
      return bots.find(({ instanceId }) => instanceId === id)?.port ?? undefined;
    });
    ports.set(id, port);
    return port;
  }

  async function census(): Promise<Census> {
    await Promise.all([...asked].map(portOf));
    const roots = await rootsOf(sandbox, ground.engine);
    const bots = new Map<string, number>();
    const keepers = roots.flatMap(({ helpers }) => helpers);
    const owners = new Map([...ports].map(([id, port]) => [UID_BASE[kind.driver] + port, id]));
    const mains = roots.map(({ main }) => main);
    for (const { pid, session } of descendantsOf(mains, listProcesses())) {
      // What the plugin does in a bot's name has its effective uid only, and leads no session.
      const bot = session === pid ? owners.get(realUid(pid) ?? -1) : undefined;
      if (bot === undefined) keepers.push(pid);
      else bots.set(bot, pid);
    }
    return { bots, keepers };
  }

  return {
    name: kind.name,
    note: kind.note,
    sandbox,
    uid: async (id) => UID_BASE[kind.driver] + (await portOf(id)),
    supervisords: async () => (await rootsOf(sandbox, ground.engine)).map(({ main }) => main),
    supervisor: sandbox.pid,
    start: async (ids) => void (await mapLimited(ids, ids.length, create)),
    port: portOf,
    ask: (id, path) => client.get(`/bots/${id}/api/v1/${path}`),
    census,
    close,

    async verify() {
      for (const { bots } of await observePools(sandbox, kind.driver)) {
        for (const { bot, spawn } of bots) {
          if (spawn?.kind === kind.spawn) continue;
          throw new Error(`${kind.name}: ${bot} was started by ${spawn?.kind ?? 'nobody'}: ${spawn?.reason ?? ''}`);
        }
      }
      if (!kind.merge) return;
      const apart = [...(await census()).bots].filter(([, pid]) => !mergesPages(pid));
      if (apart.length > 0) throw new Error(`the kernel merges no pages of ${apart.map(([id]) => id).join(', ')}`);
    },

    async stop(ids) {
      await Promise.all(ids.map((id) => client.delete(`/api/bots/${id}`)));
      const gone = async (): Promise<boolean> => {
        const left = (await client.bots()).map(({ instanceId }) => instanceId);
        return !ids.some((id) => left.includes(id));
      };
      await sandbox.until('the bots are gone', gone, GONE_SECONDS);
      for (const id of ids) ports.delete(id);
      for (const id of ids) asked.delete(id);
    },
  };
}

// Private

/** The supervisord of each container, with what the engine runs beside it. */
async function rootsOf(sandbox: Sandbox, engine: Docker | null): Promise<readonly ContainerProcesses[]> {
  const own = sandbox.supervisords().map(({ pid }) => ({ main: pid, helpers: [] }));
  if (engine === null || own.length > 0) return own;
  const names = (await sandbox.client.containers()).map(({ id }) => id);
  return [...(await containerProcesses(engine, names)).values()];
}

async function closeSandbox(sandbox: Sandbox, engine: Docker | null): Promise<void> {
  const installation = await installationOf(sandbox.directory);
  await sandbox.dispose();
  if (engine !== null && installation !== null) await removeAllOf(engine, installation);
}
