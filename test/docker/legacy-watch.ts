import type Docker from 'dockerode';
import { LABEL } from '../../lib/domain/container.ts';
import { messageOf } from '../../lib/domain/errors.ts';
import { DATA_DIRECTORY } from '../../lib/drivers/docker/spec.ts';
import type { Member } from '../fixtures/legacy/fleet.ts';
import { execPython } from '../support/docker-harness.ts';

/** Looks over and over, from outside Bunkhouse, whether a bot lives in its old container and in the pool at once. */
export interface DoubleWatch {
  readonly looks: () => number;
  /** One sentence for each bot that was seen alive in two places. */
  readonly doubles: () => readonly string[];
  stop(): Promise<void>;
}

const PAUSE_MS = 100;

/**
 * The pool is looked at before and after the old container: the same process in both looks, and the old one alive between
 * them, were alive together, whatever happened meanwhile.
 */
export function watchForDoubles(
  engine: Docker,
  installation: () => Promise<string | null>,
  members: readonly Member[],
): DoubleWatch {
  const doubles: string[] = [];
  let looks = 0;
  let stopped = false;

  async function look(): Promise<void> {
    const pool = await installation();
    if (pool === null) return;
    const before = await livesInPool(engine, pool);
    const old = await Promise.all(members.map(({ container }) => isAlive(engine, container)));
    const after = await livesInPool(engine, pool);
    for (const [index, { instanceId }] of members.entries()) {
      const life = before.get(instanceId);
      if (old[index] && life !== undefined && after.get(instanceId) === life) {
        doubles.push(`${instanceId} lived in its old container and as ${life}`);
      }
    }
    looks++;
  }

  const ended = (async () => {
    while (!stopped) {
      await look().catch((error: unknown) => {
        // A container that was removed between two questions; the next look asks anew.
        if (!/no such container|is not running|404|409/i.test(messageOf(error))) throw error;
      });
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  })();
  ended.catch(() => {});
  return {
    looks: () => looks,
    doubles: () => doubles,
    async stop() {
      stopped = true;
      await ended;
    },
  };
}

/** Bots of the pool by id: a process that leads a session of its own, as the user whose directory a bot's is. */
export async function livesInPool(engine: Docker, installation: string): Promise<ReadonlyMap<string, string>> {
  const filters = { label: [`${LABEL.instance}=${installation}`], status: ['running'] };
  const lives = new Map<string, string>();
  for (const { Id } of await engine.listContainers({ filters })) {
    for (const [id, pid] of JSON.parse((await execPython(engine, Id, LIST_BOTS)) ?? '[]') as [string, number][]) {
      lives.set(id, `process ${pid} of ${Id.slice(0, 12)}`);
    }
  }
  return lives;
}

export async function isAlive(engine: Docker, container: string): Promise<boolean> {
  return engine
    .getContainer(container)
    .inspect()
    .then(
      ({ State }) => State.Running,
      (error: { statusCode?: number }) => {
        if (error.statusCode === 404) return false;
        throw error;
      },
    );
}

// Private

/** A bot's directory of another user may not be asked for in /proc, so it is found by its owner. */
const LIST_BOTS = `
import json, os
home = '${DATA_DIRECTORY}/bots'
owners = {os.stat(os.path.join(home, name)).st_uid: name for name in os.listdir(home)} if os.path.isdir(home) else {}
def bot(pid):
    try:
        with open('/proc/' + pid + '/status') as status:
            uid = int(next(line for line in status if line.startswith('Uid:')).split()[1])
        return [owners[uid], int(pid)] if uid in owners and os.getsid(int(pid)) == int(pid) else None
    except (FileNotFoundError, ProcessLookupError):
        return None
print(json.dumps([found for found in map(bot, filter(str.isdigit, os.listdir('/proc'))) if found]))`;
