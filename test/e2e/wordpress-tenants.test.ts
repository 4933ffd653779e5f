import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lchownSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LeaseView, ReserveStatus } from '../../lib/services/lease-api.ts';
import { type SiteVisitor, siteVisitor } from '../support/site-visitor.ts';
import { createSandbox, type Sandbox, sleep } from './support.ts';
import { SITE_SETTINGS } from './ten-sites.ts';
import { withWordPress } from './with-wordpress.ts';

/** What one tenant of a WordPress site does to the others of its container, and to itself: hostile, or only clumsy. */

const MIB = 2 ** 20;
/** Above it the server is restarted for all. */
const SERVER_CEILING = 1024 * MIB;
const CLOSED_SECONDS = 30;
const QUOTA = 512 * MIB;
const CONNECTIONS = 8;
const HUGE = 15_000_000;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const each = (count: number, of: (index: number) => string): string => numbers(count).map(of).join('');
const columns = each(1000, (index) => `${index ? ',' : ''}c${index} INT`);
const UNLIMITED =
  'SET max_session_mem_used=18446744073709551615, sort_buffer_size=1073741824, join_buffer_size=1073741824;';
const SEQUENCE = 'WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n+1 FROM s WHERE n<900) SELECT n FROM s';

/** Each by eight connections at once, again and again. */
const HOSTILE: Readonly<Record<string, string>> = {
  'variables of its sessions': each(60, (index) => `SET @v${index}=REPEAT('x',${HUGE});\n`),
  'variables of a procedure': `DELIMITER //\nBEGIN NOT ATOMIC ${each(100, (i) => `DECLARE v${i} LONGTEXT DEFAULT REPEAT('x',${HUGE});`)} DO SLEEP(9); END//\n`,
  'statements of millions of parts': `SET @s=CONCAT('SELECT 1 IN (1',REPEAT(',12',5000000),')'); PREPARE p FROM @s; EXECUTE p;`,
  'prepared statements': each(3000, (index) => `PREPARE p${index} FROM 'SELECT ${'1+'.repeat(300)}1';\n`),
  'a big sort': `${UNLIMITED} SELECT COUNT(*) FROM (SELECT a.n, REPEAT('z',200) p FROM numbers a, numbers b ORDER BY RAND() LIMIT 500000) q;`,
  'a join without an index': `${UNLIMITED} SELECT COUNT(*) FROM numbers a JOIN numbers b ON a.n+0=b.n+1 JOIN numbers c ON c.n+0=b.n+a.n;`,
  'an endless recursion': `SET max_recursive_iterations=4294967295, tmp_memory_table_size=1073741824; WITH RECURSIVE r AS (SELECT 1 i, REPEAT('x',1000) t UNION ALL SELECT i+1, t FROM r) SELECT COUNT(*) FROM r;`,
  'a long GROUP_CONCAT': `SET group_concat_max_len=4294967295; SET @x=REPEAT('y',1000000); SELECT LENGTH(GROUP_CONCAT(@x)) FROM numbers;`,
  'large values': `CREATE TEMPORARY TABLE b (x LONGBLOB); INSERT INTO b VALUES (REPEAT('x',${HUGE})); ${'INSERT INTO b SELECT x FROM b;'.repeat(4)} SELECT LENGTH(GROUP_CONCAT(x)) FROM b;`,
  'temporary tables': each(600, (index) => `CREATE TEMPORARY TABLE t${index} (${columns});\n`),
  'locks without end': `SELECT SUM(GET_LOCK(CONCAT(CONNECTION_ID(),'-',a.n*900+b.n),0)) FROM numbers a, numbers b;`,
  JSON: `SET @j=CONCAT('[',REPEAT('[],',4000000),'1]'); SELECT LENGTH(JSON_DETAILED(@j)), LENGTH(JSON_MERGE(@j,@j,@j));`,
};

withWordPress('WordPress sites with hostile tenants', () => {
  let sandbox: Sandbox;
  let mine: LeaseView;
  let other: LeaseView;

  beforeAll(async () => {
    const env = { ...SITE_SETTINGS, POOL_TARGET_SIZE: '2', POOL_MAX_SIZE: '2' };
    sandbox = await createSandbox({ basePort: 27_900, env });
    await sandbox.start();
    await untilReady(2);
    [mine, other] = [await acquire(), await acquire()];
    await sql(mine, `CREATE TABLE numbers (n INT PRIMARY KEY); INSERT INTO numbers ${SEQUENCE};`);
  });
  afterAll(() => sandbox?.dispose());

  const acquire = (): Promise<LeaseView> => sandbox.client.post<LeaseView>('/api/leases', {});
  const untilReady = (count: number, seconds = 120): Promise<unknown> =>
    sandbox.until(
      `${count} sites are ready`,
      async () => {
        const { reserves } = await sandbox.client.get<{ reserves: ReserveStatus[] }>('/api/pool/reserve');
        return (reserves.find(({ template }) => template === 'wordpress')?.ready ?? 0) >= count;
      },
      seconds,
    );

  const visitorOf = ({ url }: LeaseView): SiteVisitor =>
    siteVisitor(sandbox.url + url, { 'X-Bunkhouse-Token': sandbox.client.token });
  const statusOf = async (lease: LeaseView, path = '/'): Promise<number> =>
    (
      await visitorOf(lease)
        .visit(path)
        .catch(() => ({ status: 0 }))
    ).status;
  const isUp = (lease: LeaseView, seconds = 60): Promise<unknown> =>
    sandbox.until(`${lease.instanceId} shows its page`, async () => (await statusOf(lease)) === 200, seconds);

  async function directoryOf({ instanceId }: LeaseView): Promise<string> {
    const { container } = await sandbox.client.bot(instanceId);
    return join(sandbox.directory, 'containers', container as string, 'bots', instanceId);
  }
  const databaseOf = ({ instanceId }: LeaseView): string =>
    `wp-${createHash('sha256').update(instanceId).digest('hex').slice(0, 32)}`;

  /** As the site's own database user, which a tenant with a plugin of its own is. Rejects when a statement fails. */
  async function sql(lease: LeaseView, statements: string, { goOn = false, seconds = 60 } = {}): Promise<string> {
    const { database } = JSON.parse(readFileSync(join(await directoryOf(lease), 'site.json'), 'utf8'));
    const options = [
      '--no-defaults',
      `--user=${database.user}`,
      `--socket=${database.socket}`,
      '--max-allowed-packet=1G',
    ];
    const more = goOn ? ['--force'] : [];
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, out: string, said: string): void =>
        error && !goOn ? reject(new Error(said)) : resolve(out + said);
      const env = { MYSQL_PWD: database.password, PATH: '/usr/bin' };
      const arguments_ = [...options, ...more, '--batch', '--skip-column-names', databaseOf(lease)];
      const child = execFile('mariadb', arguments_, { env, timeout: seconds * 1000, maxBuffer: 2 ** 26 }, done);
      child.stdin?.on('error', () => {});
      child.stdin?.end(statements);
    });
  }

  async function server(): Promise<{ pid: number; restarts: number; home: string }> {
    const [container] = await sandbox.client.containers();
    const service = container?.services[0];
    if (container === undefined || service?.pid == null) throw new Error('MariaDB does not run');
    const home = join(sandbox.directory, 'containers', container.id, 'services/mariadb');
    return { pid: service.pid, restarts: service.restarts, home };
  }
  const memoryOf = (pid: number): number => Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;

  /** What the neighbour's visitors and the server's memory were like while it went on. */
  async function meanwhile(
    act: () => Promise<unknown>,
  ): Promise<{ visits: number; failed: number; slowest: number; peak: number }> {
    const { pid } = await server();
    const seen = { visits: 0, failed: 0, slowest: 0, peak: 0 };
    let over = false;
    const watch = async (): Promise<void> => {
      while (!over) {
        seen.peak = Math.max(seen.peak, memoryOf(pid));
        await sleep(20);
      }
    };
    const visit = async (): Promise<void> => {
      while (!over) {
        const from = performance.now();
        seen.failed += Number((await statusOf(other)) !== 200);
        seen.visits += 1;
        seen.slowest = Math.max(seen.slowest, performance.now() - from);
        await sleep(100);
      }
    };
    const watching = [watch(), visit()];
    await act().finally(() => {
      over = true;
    });
    await Promise.all(watching);
    return seen;
  }

  async function restart(lease: LeaseView): Promise<void> {
    const { pid } = await sandbox.client.bot(lease.instanceId);
    await sandbox.client.post(`/api/bots/${lease.instanceId}/restart`, {});
    await sandbox.until('it runs anew', async () => {
      const now = await sandbox.client.bot(lease.instanceId);
      return now.pid !== pid && now.state === 'running';
    });
  }

  describe('a WordPress site keeps what its tenant has when it is restarted', () => {
    it('without the options that say that WordPress is installed', async () => {
      await sql(mine, "UPDATE wp_posts SET post_title = 'Still mine' WHERE ID = 1; DELETE FROM wp_options;");
      await restart(mine);
      expect(await sql(mine, 'SELECT post_title FROM wp_posts WHERE ID = 1')).toBe('Still mine\n');
      await sql(mine, 'DROP TABLE wp_options; CREATE TABLE wp_options (of_another_program INT);');
      await restart(mine);
      expect(await sql(mine, 'SELECT post_title FROM wp_posts WHERE ID = 1; DESCRIBE wp_options')).toMatch(
        /Still mine\nof_another/,
      );
      expect((await sandbox.client.bot(mine.instanceId)).state).toBe('running');
    });

    it('and is installed only where nothing is, or where that was broken off', async () => {
      const tables = (await sql(mine, 'SHOW TABLES')).trim().split('\n');
      await sql(mine, `DROP TABLE ${tables.join(', ')}`);
      await restart(mine);
      await isUp(mine);
      expect(await visitorOf(mine).logIn('admin', mine.access?.password as string)).toBe(true);
      await sql(mine, `DROP DATABASE \`${databaseOf(mine)}\``);
      await restart(mine);
      await isUp(mine);
      await sql(mine, 'CREATE TABLE bunkhouse_installing (since DATETIME); DROP TABLE wp_users, wp_links;');
      await restart(mine);
      await isUp(mine);
      expect(await visitorOf(mine).logIn('admin', mine.access?.password as string)).toBe(true);
      expect(await sql(mine, "SHOW TABLES LIKE 'bunkhouse%'")).toBe('');
      await sql(mine, `CREATE TABLE numbers (n INT PRIMARY KEY); INSERT INTO numbers ${SEQUENCE};`);
    });
  });

  describe('a WordPress site does not take the server’s memory from its neighbours', () => {
    it.each(Object.entries(HOSTILE))('with %s', async (what, statements) => {
      await sandbox.until(
        'it is let in',
        async () =>
          sql(mine, 'SELECT 1').then(
            () => true,
            () => false,
          ),
        CLOSED_SECONDS + 15,
      );
      const before = await server();
      const seen = await meanwhile(() =>
        Promise.all(numbers(CONNECTIONS).map(() => sql(mine, statements, { goOn: true, seconds: 12 }))),
      );
      const peak = seen.peak / MIB;
      console.log(
        `${what}: peak ${peak.toFixed(0)} MiB, slowest page of ${seen.visits}: ${(seen.slowest / 1000).toFixed(1)} s`,
      );
      expect(seen).toMatchObject({ failed: 0 });
      expect(seen.visits).toBeGreaterThan(0);
      expect(seen.peak).toBeLessThan(SERVER_CEILING);
      expect(await server()).toEqual(before);
    });

    it('and is let in again', () => isUp(mine, CLOSED_SECONDS + 30));
  });

  describe('a WordPress site does not take the disk from its neighbours', () => {
    const blocksOf = (folder: string): number =>
      readdirSync(folder).reduce(
        (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.blocks ?? 0) * 512,
        0,
      );

    it('with rows: above its quota it may only read and throw away', async () => {
      const { home, ...before } = await server();
      const folder = join(home, 'data', databaseOf(mine).replace('-', '@002d'));
      await sql(mine, 'CREATE TABLE fill (id INT AUTO_INCREMENT PRIMARY KEY, x LONGTEXT)');
      const insert =
        "INSERT INTO fill (x) SELECT REPEAT('x',8000) FROM numbers a JOIN (SELECT 1 UNION SELECT 2 UNION SELECT 3) b;";
      const seen = await meanwhile(async () => {
        for (let round = 0; round < 40; round++) {
          if (/denied/.test(await sql(mine, insert.repeat(20), { goOn: true, seconds: 60 }))) return;
        }
        throw new Error('it was never refused');
      });
      const size = blocksOf(folder);
      console.log(
        `database of at most ${QUOTA / MIB} MiB: stopped at ${(size / MIB).toFixed(0)} MiB; slowest page of ${seen.visits}: ${(seen.slowest / 1000).toFixed(1)} s`,
      );
      expect(size).toBeLessThan(QUOTA * 2);
      expect(seen).toMatchObject({ failed: 0 });
      expect(await statusOf(mine)).toBe(200);
      await expect(sql(mine, 'UPDATE fill SET x = 1 LIMIT 1')).rejects.toThrow(/denied/);
      await expect(sql(mine, 'CREATE TABLE more (i INT)')).rejects.toThrow(/denied/);
      await restart(mine);
      await sandbox.until('it is refused again', async () =>
        sql(mine, 'CREATE TABLE more (i INT); DROP TABLE more').then(
          () => false,
          () => true,
        ),
      );
      await sql(mine, 'DROP TABLE fill');
      // Kept in a table of all.
      await expect(sql(mine, 'CREATE PROCEDURE p() SELECT 1')).rejects.toThrow(/denied/);
      await sandbox.until(
        'it may write again',
        async () =>
          sql(mine, 'CREATE TABLE more (i INT)').then(
            () => true,
            () => false,
          ),
        10,
      );
      expect(await server()).toEqual({ home, ...before });
    });

    it('with changes that are never committed', async () => {
      const { home } = await server();
      const undo = (): number =>
        readdirSync(join(home, 'data'))
          .filter((name) => name.startsWith('undo'))
          .reduce((sum, name) => sum + statSync(join(home, 'data', name)).blocks * 512, 0);
      await sql(
        mine,
        "CREATE TABLE u (i INT PRIMARY KEY, x VARCHAR(2000)); INSERT INTO u SELECT n, REPEAT('x',2000) FROM numbers;",
      );
      const updates = each(4000, (index) => `UPDATE u SET x=REPEAT('${String.fromCharCode(97 + (index % 26))}',2000);`);
      let peak = 0;
      const seen = await meanwhile(async () => {
        const said = sql(mine, `BEGIN; ${updates}`, { goOn: true, seconds: 60 });
        let over = false;
        void said.finally(() => {
          over = true;
        });
        while (!over) {
          peak = Math.max(peak, undo());
          await sleep(50);
        }
        console.log(`changes not committed: at most ${(peak / MIB).toFixed(0)} MiB`);
        expect(await said).toMatch(/gone away|Lost connection|killed/);
      });
      await sandbox.until('the disk is given back', async () => undo() < 64 * MIB, 60);
      expect(seen).toMatchObject({ failed: 0 });
    });
  });

  it('the keeper beside the server is started again when it was killed', async () => {
    const keepers = () =>
      sandbox.processes().filter(({ argv }) => argv[0] === 'php' && argv[1]?.endsWith('/keeper.php'));
    const before = keepers().map(({ pid }) => pid);
    expect(before).toHaveLength(1);
    process.kill(before[0] as number, 'SIGKILL');
    await sandbox.until('another runs', async () => keepers().length === 1 && keepers()[0]?.pid !== before[0]);
  });

  describe('a WordPress site with programs of its tenant', () => {
    /** As the tenant puts it there: what is another user's, a reset would not touch. */
    async function put(lease: LeaseView, name: string, make: (path: string) => void): Promise<void> {
      const directory = await directoryOf(lease);
      const { uid, gid } = statSync(directory);
      make(join(directory, 'site', name));
      lchownSync(join(directory, 'site', name), uid, gid);
    }
    const program = (lease: LeaseView, name: string, text: string): Promise<void> =>
      put(lease, name, (path) => writeFileSync(path, `<?php\n${text}\n`));

    it('does not see its neighbour’s files by links', async () => {
      const there = await directoryOf(mine);
      const secret = join(await directoryOf(other), 'site.json');
      await put(mine, 'link.txt', (path) => symlinkSync(secret, path));
      expect(await statusOf(mine, '/link.txt')).toBe(403);
      await program(
        mine,
        'look.php',
        `var_dump(@file_get_contents(${JSON.stringify(secret)}), @scandir(${JSON.stringify(there.replace(/[^/]+$/, ''))}));`,
      );
      expect((await visitorOf(mine).visit('/look.php')).text).toBe('bool(false)\nbool(false)\n');
    });

    it('does not harm its neighbour by opening files, using up its processes or sending mail', async () => {
      await program(
        mine,
        'files.php',
        'for ($f = []; $f[] = @fopen("/dev/null", "r"); ) if (count($f) > 5000) exit("unlimited"); echo count($f); sleep(5);',
      );
      await program(
        mine,
        'fork.php',
        'var_dump(mail("a@site.invalid", "s", "t")); for ($n = 0; $n < 500; $n++) if (!($p[] = @popen("sleep 5", "r"))) break; echo "\\n", $n; sleep(5);',
      );
      const seen = await meanwhile(async () => {
        const pages = await Promise.all(
          ['/files.php', '/files.php', '/fork.php', '/fork.php'].map((path) => visitorOf(mine).visit(path)),
        );
        for (const { text } of pages.slice(0, 2)) expect(Number(text)).toBeLessThan(1024);
        for (const { text } of pages.slice(2)) {
          expect(text).toContain('bool(false)');
          expect(Number(text.split('\n').at(-1))).toBeLessThan(64);
        }
      });
      expect(seen).toMatchObject({ failed: 0 });
      await isUp(mine);
    });
  });

  it('a site that was closed or full is made anew for the next', async () => {
    await sql(mine, `${each(60, (index) => `SET @v${index}=REPEAT('x',${HUGE});`)}`, { goOn: true, seconds: 12 });
    await sandbox.client.delete(`/api/leases/${mine.id}`);
    await untilReady(1);
    const next = await acquire();
    expect(next.instanceId).toBe(mine.instanceId);
    expect(await statusOf(next)).toBe(200);
  });
});
