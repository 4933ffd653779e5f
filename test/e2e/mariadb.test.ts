import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ContainerView } from '../../lib/services/pool-api.ts';
import { createSandbox, REPOSITORY, type Sandbox } from './support.ts';

/** Two bots with a database each in a real MariaDB that they share. */

const FIXTURES = join(REPOSITORY, 'test/fixtures/mariadb');
const SERVER = ['/usr/sbin/mariadbd', '/usr/bin/mariadbd', '/usr/sbin/mysqld'].find((path) => existsSync(path));
const BOTS = ['alice-site', 'bob-site'];

let sandbox: Sandbox;

async function setUp(): Promise<void> {
  // Where the bots' users can read it.
  const template = await readFile(join(FIXTURES, 'site.yaml'), 'utf8');
  const program = await readFile(join(FIXTURES, 'start.py'), 'utf8');
  const file = `files: [{ path: start.py, text: ${JSON.stringify(program)} }]`;
  const text = template
    .replace('START', '"{{service.dir}}/start.py"')
    .replace('    readiness: { kind: socket', `    ${file}\n    readiness: { kind: socket`);
  sandbox = await createSandbox({ basePort: 25_700, templates: { 'site.yaml': text } });
  await sandbox.start();
}

async function create(instanceId: string): Promise<void> {
  const files = { 'tenant.py': await readFile(join(FIXTURES, 'tenant.py'), 'utf8') };
  await sandbox.client.create({ instanceId, template: 'site', files } as { instanceId: string });
}

async function container(): Promise<ContainerView> {
  const [found] = await sandbox.client.containers();
  if (found === undefined) throw new Error('there is no container');
  return found;
}

const service = async () => (await container()).services[0];

/** SQL as a bot, in its own database or in none. */
async function sql(bot: string, text: string, path = '/own'): Promise<{ status: number; text: string }> {
  const response = await fetch(`${sandbox.url}/bots/${bot}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${sandbox.client.token}` },
    body: text,
  });
  return { status: response.status, text: await response.text() };
}

const secretsIn = async (): Promise<string[]> => {
  const folder = join(sandbox.directory, 'state');
  const texts = await Promise.all(
    (await readdir(folder))
      .filter((name) => name.startsWith('state.json'))
      .map((name) => readFile(join(folder, name), 'utf8')),
  );
  return texts.flatMap((text) => [...text.matchAll(/"db":"([^"]+)"/g)].map((match) => match[1] ?? ''));
};

async function logs(): Promise<string> {
  const { id } = await container();
  const folder = join(sandbox.directory, 'containers', id);
  const names = (await readdir(join(folder, 'logs'))).map((name) => join('logs', name));
  const texts = ['supervisord.log', ...names].map((name) => readFile(join(folder, name), 'utf8'));
  return [await readFile(join(sandbox.directory, 'orchestrator.log'), 'utf8'), ...(await Promise.all(texts))].join(
    '\n',
  );
}

const mariadbLog = async (): Promise<string> =>
  readFile(join(sandbox.directory, 'containers', (await container()).id, 'logs/.service-mariadb.log'), 'utf8');

if (SERVER === undefined) {
  process.stderr.write(
    '\n*** LEFT OUT: bots with a database each, for lack of MariaDB (Debian: mariadb-server-core)\n\n',
  );
  describe.skip('bots that share a MariaDB', () => {
    it('needs mariadbd', () => {});
  });
} else {
  describe('bots that share a MariaDB', () => {
    beforeAll(setUp);
    afterAll(() => sandbox?.dispose());

    it('start when it is up, each with a database and its own password', async () => {
      for (const bot of BOTS) await create(bot);
      for (const bot of BOTS) await sandbox.untilState(bot, 'running', 120);
      expect(await service()).toMatchObject({ name: 'mariadb', state: 'running', restarts: 0 });
      for (const bot of BOTS) {
        expect(await sql(bot, `CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('of ${bot}')`)).toMatchObject({
          status: 200,
        });
        expect(await sql(bot, 'SELECT text FROM notes')).toEqual({ status: 200, text: `of ${bot}\n` });
      }
    });

    it('cannot read each other’s', async () => {
      const [alice, bob] = BOTS as [string, string];
      expect(await sql(bob, `SELECT text FROM \`${alice}\`.notes`)).toMatchObject({
        status: 422,
        text: expect.stringMatching(/ERROR 1142.*denied/),
      });
      expect((await sql(bob, 'SHOW DATABASES', '/')).text.split('\n')).not.toContain(alice);
      expect(await sql(bob, 'SELECT User FROM mysql.user')).toMatchObject({ status: 422 });
    });

    it('keep their passwords from command lines and logs', async () => {
      const secrets = await secretsIn();
      expect(new Set(secrets).size).toBeGreaterThanOrEqual(2);
      const commands = sandbox.processes().map(({ argv }) => argv.join(' '));
      expect(commands.join('\n')).toContain('mariadbd');
      const told = [...commands, await logs()].join('\n');
      for (const secret of secrets) expect(told).not.toContain(secret);
    });

    it('go on when it is killed, and find their data again', async () => {
      const before = await Promise.all(BOTS.map((bot) => sandbox.client.bot(bot)));
      const pid = (await service())?.pid ?? 0;
      process.kill(pid, 'SIGKILL');
      await sandbox.until('MariaDB is back', async () => {
        const now = await service();
        return now?.state === 'running' && now.pid !== pid && now;
      });
      for (const { instanceId, pid, restarts } of before) {
        expect(await sandbox.client.bot(instanceId)).toMatchObject({ pid, restarts, state: 'running' });
        expect(await sql(instanceId, 'SELECT text FROM notes')).toMatchObject({ text: `of ${instanceId}\n` });
      }
    });

    it('and their supervisor may be killed and come back, and nothing runs twice', async () => {
      const pid = (await service())?.pid;
      await sandbox.stop('SIGKILL');
      await sandbox.start();
      for (const bot of BOTS) await sandbox.untilState(bot, 'running');
      expect((await service())?.pid).toBe(pid);
      const [supervisord] = sandbox.supervisords();
      process.kill(supervisord?.pid ?? 0, 'SIGKILL');
      await sandbox.until(
        'another MariaDB runs',
        async () => {
          const now = await service().catch(() => undefined);
          return now?.state === 'running' && now.pid !== pid && now;
        },
        60,
      );
      for (const bot of BOTS) await sandbox.untilState(bot, 'running', 60);
      expect(sandbox.processes().filter(({ argv }) => argv[0]?.endsWith('/mariadbd'))).toHaveLength(1);
      expect(await sql('bob-site', 'SELECT text FROM notes')).toMatchObject({ text: 'of bob-site\n' });
    });

    it('take their data along when they are deleted, and leave nothing behind', async () => {
      const [alice, bob] = BOTS as [string, string];
      await sandbox.client.delete(`/api/bots/${alice}`);
      await sandbox.until('alice is gone', async () => (await sandbox.client.bots()).length === 1);
      const files = await readdir(join(sandbox.directory, 'archives'));
      const archive = files.find((name) => name.endsWith('.tar.gz')) ?? '';
      const content = gunzipSync(await readFile(join(sandbox.directory, 'archives', archive))).toString('latin1');
      expect(content).toMatch(/database\.sql[\s\S]*INSERT INTO `notes` VALUES\s*\('of alice-site'\)/);
      await create(alice);
      await sandbox.untilState(alice, 'running', 60);
      expect((await sql(alice, 'SHOW TABLES')).text).toBe('');
      expect(await sql(bob, 'SELECT text FROM notes')).toMatchObject({ text: `of ${bob}\n` });
    });

    it('are ended before it, which then ends in order', async () => {
      const before = (await mariadbLog()).length;
      const { id } = await container();
      const [supervisord] = sandbox.supervisords();
      await sandbox.stop();
      process.kill(supervisord?.pid ?? 0, 'SIGTERM');
      await sandbox.until('all have ended', async () => sandbox.processes().length === 0, 90);
      const folder = join(sandbox.directory, 'containers', id);
      const said = (await readFile(join(folder, 'logs/.service-mariadb.log'), 'utf8')).slice(before);
      expect(said).toMatch(/(Normal shutdown|Shutdown complete)/);
      const ends = (await readFile(join(folder, 'supervisord.log'), 'utf8'))
        .split('\n')
        .filter((line) => / stopped /.test(line));
      expect(ends.at(-1)).toContain('service mariadb: stopped');
    });
  });
}
