import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signal } from './processes.ts';
import { createSandbox, fixtureBot, type Sandbox, sleep } from './support.ts';

/** Bots that misbehave on purpose, each in a container with a well-behaved one that must notice nothing of it. */

const NEIGHBOURS = ['http', 'listen', 'plain', 'silent'];

let sandbox: Sandbox;
let neighbours: readonly (number | null)[];

beforeAll(async () => {
  sandbox = await createSandbox({ basePort: 25_100 });
  await sandbox.start();
  neighbours = await Promise.all(
    NEIGHBOURS.map(async (template) => {
      await create(`beside-${template}`, 'server.py', template);
      return (await sandbox.untilState(`beside-${template}`, 'running')).pid;
    }),
  );
});
afterAll(() => sandbox?.dispose());

async function create(id: string, program: string, template: string, args: readonly string[] = []): Promise<void> {
  await sandbox.client.create(await fixtureBot(id, program, { template, args }));
}

describe('a bot that', () => {
  it('ignores SIGTERM is stopped all the same', async () => {
    await create('deaf', 'deaf.py', 'plain');
    await sandbox.untilState('deaf', 'running');
    await sandbox.client.post('/api/bots/deaf/stop');
    await sandbox.untilState('deaf', 'stopped', 10);
    expect(sandbox.processesOf('deaf')).toEqual([]);
  });

  it.each([
    ['ends with code 0', ['--after', '0.2', '--code', '0']],
    ['crashes', ['--after', '0.2', '--code', '3']],
  ])('%s is in backoff and tried again and again, ever more slowly', async (_, args) => {
    const id = `crash-${args.at(-1)}`;
    await create(id, 'crash.py', 'plain', args);
    const { reason } = await sandbox.untilState(id, 'backoff');
    expect(reason).toContain(`${args.at(-1)}`);
    const reached = async (restarts: number): Promise<number> => {
      await sandbox.until(`${restarts} restarts`, async () => (await sandbox.client.bot(id)).restarts >= restarts);
      return performance.now();
    };
    const [first, second, fourth] = [await reached(1), await reached(2), await reached(4)];
    expect(fourth - second).toBeGreaterThan(second - first);
  });

  it('was killed is running again by itself, as a new process', async () => {
    await create('killed', 'server.py', 'http');
    const { pid } = await sandbox.untilState('killed', 'running');
    signal(pid as number, 'SIGKILL');
    const again = await sandbox.until(
      'it runs again',
      async () => {
        const bot = await sandbox.client.bot('killed');
        return bot.state === 'running' && bot.pid !== pid && bot;
      },
      10,
    );
    expect(again.restarts).toBe(1);
    expect(sandbox.processesOf('killed')).toHaveLength(1);
  });

  it('starts slowly is starting until it is ready, and is given its time', async () => {
    await create('slow', 'server.py', 'http', ['--start-after', '3']);
    await sandbox.untilState('slow', 'starting');
    // What may not be asked twice is refused at once; a GET waits for a bot that is on its way.
    expect((await sandbox.client.request('/bots/slow/', { method: 'POST' })).status).toBe(503);
    expect((await sandbox.client.request('/bots/slow/')).status).toBe(200);
    expect(await sandbox.untilState('slow', 'running')).toMatchObject({ restarts: 0 });
  });

  it('hangs without opening a port is ended at its startup deadline and tried again', async () => {
    await create('hang', 'hang.py', 'listen');
    await sandbox.until('it was restarted twice', async () => (await sandbox.client.bot('hang')).restarts >= 2);
    expect((await sandbox.client.bot('hang')).state).not.toBe('running');
    expect(sandbox.processesOf('hang').length).toBeLessThanOrEqual(1);
  });

  it('freezes after it was ready is restarted for its missing heartbeat', async () => {
    await create('frozen', 'server.py', 'http', ['--freeze-after', '1']);
    await sandbox.untilState('frozen', 'running');
    await sandbox.until('it was restarted', async () => (await sandbox.client.bot('frozen')).restarts >= 1);
  });

  it('leaves a deaf child behind gets rid of it before it is started again', async () => {
    await create('orphan', 'orphan.py', 'plain', ['--after', '0.5', '--new-session']);
    await sandbox.until('it was restarted twice', async () => (await sandbox.client.bot('orphan')).restarts >= 2);
    await sandbox.client.post('/api/bots/orphan/stop');
    await sandbox.untilState('orphan', 'stopped');
    expect(sandbox.processesOf('orphan')).toEqual([]);
  });

  it('took the port of another is never answered by for the other', async () => {
    const victimPort = ((await sandbox.client.bot('beside-silent')).port ?? 0) + 1;
    // Answers there with its own name, while the victim goes on without its port, as FreqTrade does.
    await create('impostor', 'server.py', 'plain', ['--port', String(victimPort)]);
    await sandbox.untilState('impostor', 'running');
    await create('victim', 'thief.py', 'silent', ['--steal', String(victimPort)]);
    const victim = await sandbox.untilState('victim', 'unhealthy');
    expect(victim.port).toBe(victimPort);
    expect(victim.reason).not.toBe('');
    const answer = await sandbox.client.request('/bots/victim/');
    expect(answer).toMatchObject({ status: 503, body: { code: 'BOT_UNAVAILABLE' } });
    expect(JSON.stringify(answer.body)).not.toContain('impostor"');
  });

  it('is well-behaved notices nothing of the others', async () => {
    await sleep(1_000);
    const bots = await Promise.all(NEIGHBOURS.map((template) => sandbox.client.bot(`beside-${template}`)));
    expect(bots.map(({ state, restarts }) => [state, restarts])).toEqual(NEIGHBOURS.map(() => ['running', 0]));
    expect(bots.map(({ pid }) => pid)).toEqual(neighbours);
    expect(sandbox.supervisords()).toHaveLength(NEIGHBOURS.length);
  });
});
