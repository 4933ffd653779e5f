import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient } from './client.ts';
import { createSandbox, fixtureBot, freePort, type Sandbox, type SandboxOptions } from './support.ts';

const sandboxes: Sandbox[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await Promise.all(sandboxes.splice(0).map((sandbox) => sandbox.dispose()));
});

async function sandboxWith(
  env: Readonly<Record<string, string>> = {},
  templates?: SandboxOptions['templates'],
): Promise<Sandbox> {
  const sandbox = await createSandbox({ basePort: 25_300, env, ...(templates === undefined ? {} : { templates }) });
  sandboxes.push(sandbox);
  return sandbox;
}

function listenOn(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    servers.push(server);
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

describe('the supervisor does not start, and says why, with', () => {
  it('a template that is not valid YAML', async () => {
    const broken = await sandboxWith({}, { 'broken.yaml': 'name: broken\ncommand: [python3\nenv: {}\n' });
    const { code, output } = await broken.run();
    expect(code).toBe(1);
    expect(output).toMatch(/broken\.yaml:\d+: /);
    expect(output).not.toMatch(/^\s+at /m);
  });

  it('a template with a key that does not exist', async () => {
    const odd = await sandboxWith({}, { 'odd.yaml': 'name: odd\ncommand: [python3]\ncomand: [python3]\n' });
    const { code, output } = await odd.run();
    expect(code).toBe(1);
    expect(output).toMatch(/odd\.yaml:3: comand /);
  });

  it('no Docker engine', async () => {
    const sandbox = await sandboxWith({ POOL_DRIVER: 'docker', DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
    const { code, output } = await sandbox.run();
    expect(code).toBe(1);
    expect(output).toMatch(/\/nonexistent\/docker\.sock/);
    expect(output).toMatch(/DOCKER_HOST|POOL_DRIVER/);
    expect(output).not.toMatch(/^\s+at /m);
  });

  it('no supervisord', async () => {
    const { code, output } = await (await sandboxWith({ SUPERVISORD: '/nonexistent/supervisord' })).run();
    expect(code).toBe(1);
    expect(output).toMatch(/\/nonexistent\/supervisord.*SUPERVISORD/s);
  });

  it('settings that are wrong, all of them named', async () => {
    const { code, output } = await (await sandboxWith({ POOL_BASE_PORT: '80', POOL_DRIVER: 'podman' })).run();
    expect(code).toBe(1);
    expect(output).toMatch(/POOL_BASE_PORT = "80"/);
    expect(output).toMatch(/POOL_DRIVER = "podman"/);
  });

  it('its own port taken', async () => {
    const port = await freePort();
    await listenOn(port);
    const { code, output } = await (await sandboxWith({ PORT: String(port) })).run();
    expect(code).toBe(1);
    expect(output).toContain(`port ${port}`);
    expect(output).toContain('PORT');
  });

  it('another supervisor on the same data', async () => {
    const sandbox = await sandboxWith();
    await sandbox.start();
    const second = await sandboxWith({ DATA_DIR: sandbox.directory });
    const { code, output } = await second.run();
    expect(code).toBe(1);
    expect(output).toMatch(/another|in use|lock/i);
    expect((await sandbox.client.request('/health')).status).toBe(200);
  });
});

describe('ports', () => {
  it('that something else has are left out: the container takes the next free range', async () => {
    await listenOn(25_304);
    const sandbox = await sandboxWith();
    await sandbox.start();
    await sandbox.client.create(await fixtureBot('one', 'server.py'));
    const { port } = await sandbox.untilState('one', 'running');
    expect(port).toBeGreaterThan(25_304);
  });
});

describe('a request that is wrong', () => {
  it('gets a problem document with its code and changes nothing', async () => {
    const sandbox = await sandboxWith({ MAX_BODY_BYTES: '65536' });
    const { request, post, create, bots } = await sandbox.start();
    const good = await fixtureBot('good', 'server.py');
    await create(good);
    await sandbox.untilState('good', 'running');
    const { token } = await post<{ token: string }>('/api/tokens', { owner: 'alice' });
    const as = (bearer: string, path: string) => createClient(sandbox.url, bearer).request(path);
    const before = await bots();
    const create2 = (json: unknown) => request('/api/bots', { method: 'POST', json });
    const cases: readonly [Promise<unknown>, number, string][] = [
      [create2({ ...good, instanceId: 'x', template: 'unknown' }), 400, 'INVALID'],
      [create2(good), 409, 'CONFLICT'],
      [create2({ ...good, instanceId: '../x' }), 400, 'INVALID'],
      [create2({ ...good, instanceId: 'x', files: { '../x': 'y' } }), 400, 'INVALID'],
      [create2({ ...good, instanceId: 'x', files: {} }), 400, 'INVALID'],
      [create2({ ...good, instanceId: 'x', files: { 'bot.py': 'x'.repeat(70_000) } }), 413, 'TOO_LARGE'],
      [as('bh_wrong', '/api/bots'), 401, 'UNAUTHORIZED'],
      [as(token, '/api/pool/status'), 403, 'FORBIDDEN'],
      [as(token, '/api/bots/good'), 404, 'NOT_FOUND'],
      [as(token, '/bots/good/'), 404, 'NOT_FOUND'],
      [request('/api/bots/good/pause', { method: 'POST' }), 501, 'UNSUPPORTED'],
    ];
    for (const [reply, status, code] of cases) expect(await reply).toMatchObject({ status, body: { status, code } });
    const facts = (list: typeof before) => list.map(({ instanceId, pid, desired }) => [instanceId, pid, desired]);
    expect(facts(await bots())).toEqual(facts(before));
  });
});
