import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LeaseView, ReserveStatus } from '../../lib/services/lease-api.ts';
import { type SiteVisitor, siteVisitor } from '../support/site-visitor.ts';
import type { Sandbox } from './support.ts';

/** What a driver's machine has for this proof. Its supervisor makes ten sites of template `wordpress`, and eleven at most. */
export interface SiteMachine {
  readonly sandbox: Sandbox;
  /** Runs Python as root where the container's files are; `directory` of the program's globals says where that is. */
  python(container: string, program: string): Promise<unknown>;
  dispose(): Promise<void>;
}

/** Settings of the supervisor. */
export const SITE_SETTINGS = {
  DEFAULT_TEMPLATE: 'wordpress',
  POOL_TARGET_SIZE: '10',
  POOL_MAX_SIZE: '11',
  POOL_BATCH_SPACING_IN_SECONDS: '1',
};

const WARM = 10;
const WARM_SECONDS = 120;
/** From the end of a lease until the same site can be handed out again. */
const RESET_SECONDS = 60;
const ROW = 4;
const PIXEL = Uint8Array.from(atob('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'), (sign) =>
  sign.charCodeAt(0),
);

/** Ten real WordPress sites, warm, leased, dirtied and cleaned: the same proof for every driver. */
export function proveTenSites(open: () => Promise<SiteMachine>): void {
  let machine: SiteMachine;
  let sandbox: Sandbox;
  let leases: LeaseView[];

  beforeAll(async () => {
    machine = await open();
    sandbox = machine.sandbox;
    await sandbox.start();
  });
  afterAll(() => machine?.dispose());

  async function reserve(): Promise<ReserveStatus> {
    const { reserves } = await sandbox.client.get<{ reserves: ReserveStatus[] }>('/api/pool/reserve');
    return reserves.find(({ template }) => template === 'wordpress') as ReserveStatus;
  }

  const acquire = (wish: object = {}): Promise<LeaseView> => sandbox.client.post<LeaseView>('/api/leases', wish);
  const release = (lease: LeaseView): Promise<void> => sandbox.client.delete(`/api/leases/${lease.id}`);
  const passwordOf = ({ access }: LeaseView): string => access?.password as string;

  function visitorOf(lease: LeaseView, headers: Readonly<Record<string, string>> = {}): SiteVisitor {
    return siteVisitor(sandbox.url + lease.url, { 'X-Bunkhouse-Token': sandbox.client.token, ...headers });
  }

  async function admin(lease: LeaseView): Promise<SiteVisitor> {
    const visitor = visitorOf(lease);
    expect(await visitor.logIn('admin', passwordOf(lease))).toBe(true);
    return visitor;
  }

  const databaseOf = ({ instanceId }: LeaseView): string =>
    `wp-${createHash('sha256').update(instanceId).digest('hex').slice(0, 32)}`;

  /** As the site's own database user, which a tenant with a plugin of its own is. */
  const sql = (lease: LeaseView, statements: string): Promise<void> => asClient(lease, statements, 'run(check=True)');

  /** Its client is killed while the server is at it. */
  const sqlForEver = (lease: LeaseView, statements: string): Promise<void> =>
    asClient(
      lease,
      statements,
      `
try:
    run(timeout=2)
    raise SystemExit("it came to an end")
except subprocess.TimeoutExpired:
    pass`,
    );

  async function asClient(lease: LeaseView, statements: string, act: string): Promise<void> {
    const { container } = await sandbox.client.bot(lease.instanceId);
    const given = JSON.stringify({ bot: lease.instanceId, statements });
    const program = `
import functools, json, subprocess
given = json.loads(${JSON.stringify(given)})
database = json.load(open(f"{directory}/bots/{given['bot']}/site.json"))["database"]
client = ["mariadb", "--no-defaults", f"--user={database['user']}", f"--socket={database['socket']}"]
environment = {"MYSQL_PWD": database["password"], "PATH": "/usr/bin"}
run = functools.partial(subprocess.run, client, input=given["statements"].encode(), env=environment)
${act}`;
    await machine.python(container as string, program);
  }

  const untilReady = (count: number, seconds: number): Promise<unknown> =>
    sandbox.until(`${count} sites are ready`, async () => (await reserve()).ready >= count, seconds);

  async function timed<T>(what: string, act: () => Promise<T>): Promise<T> {
    const from = performance.now();
    const result = await act();
    console.log(`${what}: ${((performance.now() - from) / 1000).toFixed(3)} s`);
    return result;
  }

  describe('ten WordPress sites', () => {
    it('are warm in one container, with one MariaDB', async () => {
      await timed('ten sites made', () => untilReady(WARM, WARM_SECONDS));
      expect(await sandbox.client.containers()).toMatchObject([{ botsCount: WARM }]);
    });

    it('are handed out to ten at once, and an eleventh is made for one more', async () => {
      leases = await timed('eleven leases at once', () =>
        Promise.all(Array.from({ length: WARM + 1 }, () => acquire())),
      );
      expect(new Set(leases.map(({ instanceId }) => instanceId)).size).toBe(WARM + 1);
      expect(leases.map(({ fromPool }) => fromPool).filter(Boolean)).toHaveLength(WARM);
      expect(new Set(leases.map(passwordOf)).size).toBe(WARM + 1);
      const none = await sandbox.client.request('/api/leases', { method: 'POST', json: {} });
      expect(none).toMatchObject({ status: 503, body: { code: 'POOL_EXHAUSTED' } });
      const cold = leases.find(({ fromPool }) => !fromPool) as LeaseView;
      await timed('a site from nothing', () => sandbox.untilState(cold.instanceId, 'running', WARM_SECONDS));
    });

    it('show each its own front page with its theme, below its own address', async () => {
      for (const lease of leases) {
        const visitor = visitorOf(lease);
        const page = await visitor.visit('/');
        expect([page.status, page.type]).toEqual([200, expect.stringContaining('text/html')]);
        expect(page.text).toContain('<title>A WordPress site');
        expect(page.text).toMatch(/wp-content\/themes\/twentytwenty/);
        const base = `${sandbox.url}${lease.url}`.replace(/\/$/, '');
        const linked = addressesIn(page.text).filter((address) => address.startsWith(sandbox.url));
        expect(linked.filter((address) => address !== base && !address.startsWith(`${base}/`))).toEqual([]);
        const assets = linked.filter((address) => /\.(css|js|woff2|png|jpg)\b/.test(address));
        expect(assets).not.toEqual([]);
        const got = await Promise.all(assets.map(async (address) => (await visitor.visit(address)).status));
        expect(got).toEqual(assets.map(() => 200));
      }
    });

    it('are each a place of its own', async () => {
      await Promise.all(
        leases.map(async (lease) => (await admin(lease)).rest('POST', '/settings', { title: `Of ${lease.id}` })),
      );
      for (const lease of leases) expect((await visitorOf(lease).visit('/')).text).toContain(`<title>Of ${lease.id}`);
    });

    it('take little memory', async () => {
      const sites = await sandbox.until(
        'the memory of all is known',
        async () => {
          const bots = await sandbox.client.bots();
          return bots.every(({ memory }) => memory !== null) && bots;
          // A container is looked at every thirty seconds, and its processes are measured in turn.
        },
        90,
      );
      const each = sites.map(({ memory }) => (memory?.pssBytes ?? 0) / 2 ** 20);
      console.log(`memory of a visited site: ${(each.reduce((a, b) => a + b) / each.length).toFixed(1)} MiB`);
      expect(Math.max(...each)).toBeLessThan(256);
    });

    it('are what the proxy says they are to the visitor', async () => {
      const lease = leases[0] as LeaseView;
      const there = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'sites.example' };
      const base = `https://sites.example/bots/${lease.instanceId}`;
      expect((await visitorOf(lease, there).visit('/')).text).toContain(`"${base}/wp-json/"`);
      expect((await visitorOf(lease, there).visit('/wp-admin/')).location).toContain(`${base}/wp-login.php`);
      // As by a host name of its own, where the proxy takes nothing off the path.
      const { port } = await sandbox.client.bot(lease.instanceId);
      const host = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'one.sites.example' };
      const direct = siteVisitor(`http://127.0.0.1:${port}`, host);
      expect((await direct.visit('/')).text).toContain('"https://one.sites.example/wp-json/"');
      expect((await visitorOf(lease).visit('/hello-world/')).text).toContain('Hello world!');
      expect((await visitorOf(lease).visit('/no-such-page/')).status).toBe(404);
      expect((await visitorOf(lease).visit('/bunkhouse-health.php')).status).toBe(404);
    });
  });

  describe('a WordPress site that is given back', () => {
    it('has no post, upload, user, file or password of its last tenant', async () => {
      const before = leases[1] as LeaseView;
      const tenant = await admin(before);
      const post = { title: 'My secret plan', content: 'of world domination', status: 'publish' };
      const { link } = await tenant.rest<{ link: string }>('POST', '/posts', post);
      const upload = await tenant.upload('pixel.gif', 'image/gif', PIXEL);
      const friend = {
        username: 'friend',
        email: 'friend@site.invalid',
        password: 'friend-of-mine',
        roles: ['administrator'],
      };
      await tenant.rest('POST', '/users', friend);
      expect((await visitorOf(before).visit('/')).text).toContain('My secret plan');
      expect((await visitorOf(before).visit(upload)).status).toBe(200);

      await release(before);
      await timed('made anew', () => untilReady(1, RESET_SECONDS));
      const after = await acquire();
      expect(after).toMatchObject({ instanceId: before.instanceId, fromPool: true });

      const front = (await visitorOf(after).visit('/')).text;
      expect(front).toContain('<title>A WordPress site');
      expect(front).not.toContain('My secret plan');
      expect((await visitorOf(after).visit(link)).status).toBe(404);
      expect((await visitorOf(after).visit(upload)).status).toBe(404);
      expect(passwordOf(after)).not.toBe(passwordOf(before));
      expect(await tenant.isLoggedIn()).toBe(false);
      expect(await visitorOf(after).logIn('admin', passwordOf(before))).toBe(false);
      expect(await visitorOf(after).logIn('friend', friend.password)).toBe(false);
      const users = await (await admin(after)).rest<{ slug: string }[]>('GET', '/users?context=edit');
      expect(users.map(({ slug }) => slug)).toEqual(['admin']);
      expect(await (await admin(after)).rest('GET', '/media')).toEqual([]);
      leases[1] = after;
    });

    it('is made anew although its tenant has left a transaction that holds its tables', async () => {
      const before = leases[2] as LeaseView;
      const change = `UPDATE \`${databaseOf(before)}\`.wp_options SET autoload = 'no';`;
      await sql(before, `XA START 'x'; ${change} XA END 'x'; XA PREPARE 'x';`);
      await release(before);
      await timed('made anew past a lock', () => untilReady(1, RESET_SECONDS));
      leases[2] = await acquire();
      expect(leases[2]).toMatchObject({ instanceId: before.instanceId, fromPool: true });
    });

    it('cannot have put a table into another directory, or into the memory of all', async () => {
      const site = leases[2] as LeaseView;
      const database = databaseOf(site);
      await sql(site, `CREATE TABLE \`${database}\`.elsewhere (i INT) ENGINE=MEMORY DATA DIRECTORY='/tmp';`);
      const engine = `(SELECT engine FROM information_schema.tables WHERE table_schema = '${database}' AND table_name = 'elsewhere')`;
      const check = `IF ${engine} <> 'InnoDB' THEN SIGNAL SQLSTATE '45000'; END IF;`;
      await sql(site, `DELIMITER //\nBEGIN NOT ATOMIC ${check} END//\n`);
      const { container } = await sandbox.client.bot(site.instanceId);
      const program = "import glob\nassert not glob.glob('/tmp/elsewhere.*') + glob.glob('/tmp/wp@*/elsewhere.*')";
      await machine.python(container as string, program);
    });

    it('is made anew although the server is at a loop of its tenant that takes its password over and over', async () => {
      const before = leases[2] as LeaseView;
      const change = `UPDATE \`${databaseOf(before)}\`.wp_users SET user_pass = MD5('mine-again');`;
      const go = 'DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;';
      await sqlForEver(before, `DELIMITER //\nBEGIN NOT ATOMIC ${go} LOOP DO SLEEP(0.1); ${change} END LOOP; END//\n`);
      await release(before);
      await timed('made anew past a loop', () => untilReady(1, RESET_SECONDS));
      const after = await acquire();
      leases[2] = after;
      expect(after).toMatchObject({ instanceId: before.instanceId, fromPool: true });
      expect(await visitorOf(after).logIn('admin', passwordOf(after))).toBe(true);
      expect(await visitorOf(after).logIn('admin', 'mine-again')).toBe(false);
    });

    it('is destroyed, and another made, when its tenant has locked it', async () => {
      const before = leases[2] as LeaseView;
      await sql(before, "SET PASSWORD = PASSWORD('mine-for-ever');");
      await release(before);
      await timed('made in place of another', () => untilReady(1, RESET_SECONDS));
      leases[2] = await acquire();
      expect(leases[2].instanceId).not.toBe(before.instanceId);
      expect((await sandbox.client.request(`/api/bots/${before.instanceId}`)).status).toBe(404);
      expect((await visitorOf(leases[2]).visit('/')).status).toBe(200);
    });

    it('is ready for the next when its time is over, again and again', async () => {
      await release(leases[1] as LeaseView);
      for (let served = 0; served < ROW; served++) {
        await untilReady(1, RESET_SECONDS);
        const lease = await acquire({ ttlSeconds: 2 });
        expect(lease.fromPool).toBe(true);
        const page = await visitorOf(lease).visit('/');
        expect([page.status, page.text.includes('<title>A WordPress site')]).toEqual([200, true]);
        await sandbox.until('it is over', async () => {
          const { end } = await sandbox.client.get<LeaseView>(`/api/leases/${lease.id}`);
          return end?.how === 'expired';
        });
      }
    });
  });
}

/** Of links and of what the page is made of, as they are in its HTML. */
function addressesIn(html: string): string[] {
  const found = html.matchAll(/(?:href|src)=['"]([^'"]+)['"]/g);
  return [
    ...new Set([...found].map((match) => (match[1] as string).replaceAll('&#038;', '&').replaceAll('&amp;', '&'))),
  ];
}
