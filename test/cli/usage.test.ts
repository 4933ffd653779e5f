import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from './bunkhouse.ts';

// Each command is a process that starts from nothing, many of them on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** Without a supervisor: help, wrong use, wrong addresses, and commands that need none. */

let folder: string;
const servers: Server[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bh-cli-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
  await rm(folder, { recursive: true, force: true });
});

/** Address of a server that answers everything so. */
async function answering(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('help', () => {
  it.each([['--help'], ['help'], ['bots', '--help'], ['bots', 'create', '--help'], ['serve', '--help']])(
    'of %s %s goes to standard output, with the exit codes',
    async (...args) => {
      const { code, out, err } = await run(args);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain('Exit codes:');
      expect(out).toMatch(/^ {2}7 {2}timed out/m);
    },
  );

  it('of serve lists the settings', async () => {
    expect((await run(['serve', '--help'])).out).toMatch(/^ {2}POOL_BASE_PORT/m);
  });

  it('says the version', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });
});

describe('wrong use ends with 2, says what is wrong, and writes nothing to standard output', () => {
  it.each([
    { args: ['no-such'], says: "unknown command 'no-such'" },
    { args: ['bots', 'list', '--stat', 'x'], says: "unknown option '--stat'" },
    { args: ['bots', 'list', '--state', 'happy'], says: 'Allowed choices are' },
    { args: ['bots', 'show'], says: "missing required argument 'id'" },
    { args: ['bots'], says: 'Commands:' },
    { args: ['bots', 'stop', 'a', '--wait', 'soon'], says: '--wait takes a number of seconds, not "soon"' },
    { args: ['bots', 'create', 'a', '--env', 'NAME'], says: '--env takes NAME=VALUE, not "NAME"' },
    { args: ['bots', 'create', 'a', '--config-file', '/none.json'], says: '/none.json cannot be read' },
    { args: ['status', '--url', 'localhost'], says: '"localhost" is not an address' },
    { args: ['preload', 'record'], says: "missing required argument 'template'" },
    { args: ['preload', 'record', 'a', '--seconds', 'x'], says: '--seconds takes a number of seconds, not "x"' },
    { args: ['preload', 'record', 'a', '--file', 'a=/none.py'], says: '/none.py cannot be read' },
    { args: ['preload', 'check', 'a'], says: "required option '--list <file>' not specified" },
    { args: ['preload', 'check', 'a', '--list', '/none.txt'], says: 'The list cannot be read: ENOENT' },
    {
      args: ['preload', 'check', 'a', '--list', import.meta.filename],
      says: 'is not the dotted name of a Python module',
    },
    { args: ['bench', 'memory', '--seconds', '-1'], says: '--seconds takes a number of seconds, not "-1"' },
    { args: ['top', '--interval', '0'], says: '--interval takes a number of seconds' },
    { args: ['usage', '--by', 'pool'], says: 'Allowed choices are bot, owner' },
    { args: ['usage', '--csv', '--json'], says: 'Choose one of --csv and --json' },
  ])('$args', async ({ args, says }) => {
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(says);
    expect(err).not.toMatch(/\n\s+at /);
  });
});

describe('an address', () => {
  it('where nobody answers ends with 6 and says how to start a supervisor', async () => {
    const url = await answering(200, '');
    servers[0]?.close();
    const { code, out, err } = await run(['status', '--url', url]);
    expect({ code, out }).toEqual({ code: 6, out: '' });
    expect(err).toMatch(/^bunkhouse: No supervisor answers at http:\/\/127.0.0.1:\d+: .*ECONNREFUSED/);
    expect(err).toContain('scripts/up');
  });

  it.each([
    { what: 'with another page', status: 200, body: '<html>' },
    { what: 'that refuses in another way', status: 404, body: 'nothing here' },
  ])('$what is not taken for a supervisor', async ({ status, body }) => {
    const { code, err } = await run(['bots', 'list', '--url', await answering(status, body)]);
    expect(code).toBe(1);
    expect(err).toContain('is not a Bunkhouse supervisor');
  });

  it('comes from BUNKHOUSE_URL, and from HOST and PORT of the supervisor', async () => {
    const url = await answering(200, '{"bots":[],"next":null}');
    expect(await run(['bots', 'list'], { BUNKHOUSE_URL: url })).toMatchObject({ code: 0, out: 'No bot.\n' });
    const { port } = new URL(url);
    expect(await run(['bots', 'list'], { HOST: '0.0.0.0', PORT: port })).toMatchObject({ code: 0, out: 'No bot.\n' });
  });

  it('is sent the token of the file, without the line break at its end', async () => {
    const sent: unknown[] = [];
    const url = await answering(200, '{"bots":[],"next":null}');
    servers[0]?.on('request', ({ headers }) => sent.push(headers.authorization));
    await writeFile(join(folder, 'token'), 'bh_abc\n');
    await run(['bots', 'list', '--url', url, '--token-file', join(folder, 'token')]);
    await run(['bots', 'list', '--url', url], { ADMIN_TOKEN_FILE: join(folder, 'token') });
    await run(['bots', 'list', '--url', url], { BUNKHOUSE_TOKEN: 'bh_env', ADMIN_TOKEN_FILE: join(folder, 'token') });
    expect(sent).toEqual(['Bearer bh_abc', 'Bearer bh_abc', 'Bearer bh_env']);
  });
});

describe('a list of several pages', () => {
  it('is read to its end', async () => {
    const pages = [
      { bots: [{ instanceId: 'a' }], next: 'a' },
      { bots: [{ instanceId: 'b' }], next: null },
    ];
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url);
      response.end(JSON.stringify(pages[asked.length - 1]));
    });
    servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { out } = await run(['bots', 'list', '--json', '--url', url]);
    expect(JSON.parse(out)).toEqual({ bots: [{ instanceId: 'a' }, { instanceId: 'b' }], next: null });
    expect(asked).toEqual(['/api/bots?limit=1000', '/api/bots?after=a&limit=1000']);
  });
});

describe('a lost answer', () => {
  it('is asked for again under the same key, so that the change is done once', async () => {
    const keys: unknown[] = [];
    const server = createServer((request, response) => {
      keys.push(request.headers['idempotency-key']);
      if (keys.length === 1) request.socket.destroy();
      else response.writeHead(201).end('{"instanceId":"a","state":"pending","reason":""}');
    });
    servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await run(['bots', 'create', 'a', '--url', url])).toMatchObject({ code: 0, out: 'a: pending\n' });
    expect(keys[0]).toEqual(expect.any(String));
    expect(keys).toEqual([keys[0], keys[0]]);
  });
});

describe('template check', () => {
  it('says that a template is valid, or everything that is wrong with it and where, or that it is not there', async () => {
    const file = join(folder, 'mine.yaml');
    await writeFile(
      file,
      'name: mine\ndescription: Mine\ncommand: [run]\nreadiness: { kind: process, startupSeconds: 5 }\n',
    );
    const good = await run(['template', 'check', file]);
    expect(good).toMatchObject({ code: 0, out: expect.stringContaining('valid, template mine') });
    await writeFile(file, 'name: MINE\ncommand: run\n');
    const bad = await run(['template', 'check', file]);
    expect(bad).toMatchObject({ code: 2, out: '' });
    expect(bad.err).toContain(`${file}:1`);
    expect(bad.err).toContain(`${file}:2`);
    expect(await run(['template', 'check', join(folder, 'none.yaml')])).toMatchObject({ code: 3, out: '' });
  });

  it('shows how bots share memory, when they do', async () => {
    const file = join(folder, 'mine.yaml');
    await writeFile(join(folder, 'mine.txt'), 'json\ncsv\n');
    await writeFile(
      file,
      'name: mine\ncommand: [run]\nprefork: { entry: "a.main:main", preloadFrom: mine.txt, merge: on }\n',
    );
    const { code, out } = await run(['template', 'check', file]);
    expect(code).toBe(0);
    expect(out.split('\n')[1]).toBe(
      'Bots share memory: a.main:main under python3, 2 preloaded modules, no warmup, merge on, immortal on.',
    );
    const json = JSON.parse((await run(['template', 'check', file, '--json'])).out) as object;
    expect(json).toMatchObject({ prefork: { preload: ['json', 'csv'], warmup: null, merge: true } });
  });
});
