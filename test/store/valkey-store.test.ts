import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'iovalkey';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { SCHEMA_VERSION } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { MIGRATIONS } from '../../lib/store/migrations.ts';
import type { Document } from '../../lib/store/patch.ts';
import type { Change } from '../../lib/store/store.ts';
import { keysOf, type ValkeyLocation } from '../../lib/store/valkey/location.ts';
import { openValkeyStore, type ValkeyStore, type ValkeyStoreOptions } from '../../lib/store/valkey/valkey-store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { type Logger, silentLogger as log } from '../../lib/util/logger.ts';
import { storeContract } from '../contract/store.ts';
import { cuttablePort } from '../support/cuttable-port.ts';
import { startValkey, VALKEY, type ValkeyServer } from '../support/valkey-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { botRecord, containerRecord } from './bot-record.ts';

const COUNTER = join(import.meta.dirname, 'fixtures/valkey-counter.ts');
const LEASE_MS = 1000;

let server: ValkeyServer;
let folder: string;
let prefix = '';
let places = 0;
let cleanUps: (() => unknown)[];

const grow: Change<number> = (state) => ({
  state: { ...state, generation: state.generation + 1 },
  result: state.generation + 1,
});

const putContainer =
  (name: string): Change<void> =>
  (state) => ({ state: { ...state, containers: { [name]: containerRecord(name) } }, result: undefined });

function optionsOf(location: Partial<ValkeyLocation> = {}): Omit<ValkeyStoreOptions, 'clock' | 'log'> {
  return {
    location: server.location({ prefix, leaseMs: LEASE_MS, ...location }),
    home: 'here',
    marker: join(folder, 'marker'),
  };
}

async function open(options: Partial<ValkeyStoreOptions> = {}): Promise<ValkeyStore> {
  const store = await openValkeyStore({ ...optionsOf(), clock, log, ...options });
  cleanUps.push(() => store.close());
  return store;
}

async function refusal(work: Promise<unknown>): Promise<BunkhouseError> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  );
  if (error instanceof BunkhouseError) return error;
  throw error;
}

describe.skipIf(VALKEY === null)('valkey store', { timeout: 30_000 }, () => {
  let redis: Redis;

  beforeAll(async () => {
    server = await startValkey();
    redis = new Redis({ port: server.port });
    redis.on('error', () => {});
  }, 30_000);

  afterAll(async () => {
    redis?.disconnect();
    await server?.dispose();
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bunkhouse-valkey-'));
    places += 1;
    prefix = `place-${places}`;
    cleanUps = [];
  });

  afterEach(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
    rmSync(folder, { recursive: true });
  });

  storeContract('valkey store', async () => {
    places += 1;
    const own = mkdtempSync(join(tmpdir(), 'bunkhouse-valkey-'));
    const options = { ...optionsOf({ prefix: `place-${places}` }), marker: join(own, 'marker') };
    return {
      open: () => openValkeyStore({ ...options, clock, log }),
      cleanUp: async () => rmSync(own, { recursive: true }),
    };
  });

  describe('leading', () => {
    it('is for one at a time: the second waits, learns of the first, and follows when that ends in order', async () => {
      const first = await open();
      await first.update(grow);
      const heard: string[] = [];
      let leads = false;
      const second = open({ onStandby: (leader) => heard.push(leader) }).then((store) => {
        leads = true;
        return store;
      });
      await clock.sleep(3 * LEASE_MS);
      expect([leads, heard.length]).toEqual([false, 1]);
      expect(heard[0]).toContain(`pid ${process.pid}`);
      expect(await first.update(grow)).toBe(2);
      await first.close();
      expect((await second).current().generation).toBe(2);
    });

    it('has a number that grows, and that nobody gets twice', async () => {
      for (let n = 0; n < 3; n++) await (await open()).close();
      await open();
      expect(await redis.hget(keysOf(optionsOf().location).fence, 'number')).toBe('4');
    });

    it('passes on within the lease when the leader is killed, with everything it had answered', async () => {
      const first = await counter();
      const second = await counter();
      await first.until('9');
      await second.until('standby');
      first.child.kill('SIGKILL');
      await second.until('leads');
      await second.until(String(first.last() + 5));
      expect(overlap(first, second)).toEqual([]);
    });

    it('is over for a process that was stopped meanwhile: its late commit is refused, and it ends', async () => {
      const first = await counter();
      const second = await counter();
      await first.until('9');
      await second.until('standby');
      first.child.kill('SIGSTOP');
      await second.until('leads');
      await second.until(String(first.last() + 20));
      first.child.kill('SIGCONT');
      expect(await first.ended).toBe(3);
      expect(first.lines.at(-1)).toMatch(/^lost The lead over the state is lost/);
      await second.until(String(second.last() + 20));
      expect(overlap(first, second)).toEqual([]);
    });

    it('is kept, or given up in order, by a process that was stopped longer than its lease when nobody took it', async () => {
      const only = await counter();
      await only.until('9');
      only.child.kill('SIGSTOP');
      await clock.sleep(2 * LEASE_MS);
      only.child.kill('SIGCONT');
      // Whoever was amid an answer may find the connection gone when it asks once more, and then ends rather than guess.
      const goesOn = only.until(String(only.last() + 20)).then(() => null);
      expect([null, 3]).toContain(await Promise.race([goesOn, only.ended]));
      goesOn.catch(() => {});
    });

    it('is refused where the containers are not', async () => {
      const store = await open();
      await store.update(putContainer('c'));
      await store.close();
      const error = await refusal(open({ home: 'elsewhere' }));
      expect(error.code).toBe('CONFLICT');
      expect(error.message).toMatch(/containers of here, and this process would run them on elsewhere/);
      await (await open({ home: '' })).close();
      await (await open({ home: 'elsewhere' })).close();
      expect((await refusal(open())).code).toBe('CONFLICT');
    });

    it('may move while there are no containers', async () => {
      await (await open()).close();
      await (await open({ home: 'elsewhere' })).close();
      await open();
    });
  });

  describe('a commit', () => {
    it('whose answer is lost happens once', async () => {
      const way = await cuttablePort(server.port);
      cleanUps.push(() => way.close());
      const store = await open({ ...optionsOf({ port: way.port, leaseMs: 5000 }) });
      const { meta } = keysOf(optionsOf().location);
      for (let n = 1; n <= 3; n++) {
        way.swallowAnswers();
        const update = store.update(grow);
        await waitFor('the commit arrived', async () => (await redis.hget(meta, 'generation')) === String(n));
        way.cut();
        expect(await update).toBe(n);
      }
      await store.close();
      expect((await open()).current().generation).toBe(3);
    });

    it('that does not arrive is asked for again when the network hangs', async () => {
      const way = await cuttablePort(server.port);
      cleanUps.push(() => way.close());
      const store = await open({ ...optionsOf({ port: way.port, leaseMs: 4000 }) });
      way.hold();
      const update = store.update(grow);
      await clock.sleep(1500);
      way.cut();
      expect(await update).toBe(1);
    });

    it('that cannot be cleared up within the lease fails, and nothing more is written by this process', async () => {
      const way = await cuttablePort(server.port);
      cleanUps.push(() => way.close());
      const store = await open({ ...optionsOf({ port: way.port }) });
      way.swallowAnswers();
      const error = await refusal(store.update(grow));
      expect(error.code).toBe('STORE_UNAVAILABLE');
      await store.lost;
      way.cut();
      expect((await refusal(store.update(grow))).code).toBe('STORE_UNAVAILABLE');
      expect(store.current().generation).toBe(0);
      // It had arrived, as the next one to lead sees.
      expect((await open()).current().generation).toBe(1);
    });

    it('that the server refuses changes nothing, and the next one may work', async () => {
      const store = await open();
      await store.update(grow);
      await redis.config('SET', 'maxmemory', '1');
      const error = await refusal(store.update(grow)).finally(() => redis.config('SET', 'maxmemory', '0'));
      expect(error.message).toMatch(/OOM.*Nothing was changed/);
      expect(store.current().generation).toBe(1);
      expect(await store.update(grow)).toBe(2);
      await store.close();
      expect((await open()).current().generation).toBe(2);
    });

    it('is refused when the server has lost the one before it', async () => {
      const store = await open();
      await store.update(grow);
      await redis.hset(keysOf(optionsOf().location).meta, 'commit', '0.0');
      expect((await refusal(store.update(grow))).message).toMatch(/lost commits that it had kept/);
      expect((await store.lost).code).toBe('STORE_UNAVAILABLE');
    });
  });

  describe('the server', () => {
    it('may be killed and started again: the leader goes on, and nothing that was answered is missing', async () => {
      const own = await startValkey();
      cleanUps.push(() => own.dispose());
      const location = own.location({ leaseMs: 10_000 });
      const only = await counter(location);
      await only.until('20');
      await own.stop('SIGKILL');
      await own.start();
      await only.until(String(only.last() + 20));
      only.child.kill('SIGKILL');
      await only.ended;
      const fresh = new Redis({ port: own.port });
      cleanUps.push(() => fresh.disconnect());
      expect(Number(await fresh.hget(keysOf(location).meta, 'generation'))).toBeGreaterThanOrEqual(only.last());
    });

    it('that is gone for longer than the lease ends the leader', async () => {
      const own = await startValkey();
      cleanUps.push(() => own.dispose());
      const store = await open({ ...optionsOf(), location: own.location({ leaseMs: LEASE_MS }) });
      await own.stop('SIGKILL');
      expect((await refusal(store.update(grow))).code).toBe('STORE_UNAVAILABLE');
      expect((await store.lost).message).toMatch(/lead over the state is lost/);
    });

    it('that lost everything is not taken for a new installation', async () => {
      const store = await open();
      await store.update(grow);
      const keys = await redis.keys(`{${prefix}}*`);
      await redis.del(...keys);
      expect((await refusal(store.update(grow))).message).toMatch(/another process has taken over/);
      const error = await refusal(open());
      expect(error.code).toBe('STORE_CORRUPT');
      expect(error.message).toMatch(/it is gone, although it was there before/);
      rmSync(join(folder, 'marker'));
      expect((await open()).current().generation).toBe(0);
    });

    it('that is not there is named, with what to do and without the password', async () => {
      const error = await refusal(open(optionsOf({ port: 1, password: 'hunter2' })));
      expect(error.code).toBe('STORE_UNAVAILABLE');
      expect(error.message).toMatch(/127\.0\.0\.1:1, database 0.*ECONNREFUSED.*STATE_URL/);
      expect(error.message).not.toContain('hunter2');
    });

    it('is asked with a password, from the address or from a file', async () => {
      const own = await startValkey('--requirepass', 'hunter2');
      cleanUps.push(() => own.dispose());
      const at = (changes: Partial<ValkeyLocation>) => ({ ...optionsOf(), location: own.location(changes) });
      for (const password of [null, 'hunter3']) {
        const error = await refusal(open(at({ password })));
        expect(error.message).toMatch(/NOAUTH|WRONGPASS/);
        expect(error.message).not.toContain('hunter3');
      }
      await (await open(at({ password: 'hunter2' }))).close();
      const passwordFile = join(folder, 'password');
      expect((await refusal(open(at({ passwordFile })))).message).toContain(passwordFile);
      writeFileSync(passwordFile, 'hunter2\n');
      await (await open(at({ passwordFile }))).close();
    });

    it.each([
      [['--appendfsync', 'everysec'], /a commit of the last two seconds may be lost/],
      [['--appendonly', 'no'], /a commit of the last minutes may be lost/],
      [['--rename-command', 'CONFIG', ''], /does not tell how durable it is/],
    ])('that is started with %j is warned of', async (options, expected) => {
      const own = await startValkey(...options);
      cleanUps.push(() => own.dispose());
      const warnings: string[] = [];
      const warned: Logger = { ...log, warn: (_, message) => warnings.push(message) };
      await open({ ...optionsOf(), location: own.location(), log: warned });
      expect(warnings.join()).toMatch(expected);
    });
  });

  describe('what is kept', () => {
    it('is read with every field', async () => {
      const store = await open();
      await store.update((state) => ({ state: { ...state, bots: Table.of({ a: botRecord('a') }) }, result: null }));
      await store.close();
      expect((await open()).current()).toEqual(store.current());
    });

    it('of an older schema is brought forward as a whole', async () => {
      const keys = keysOf(optionsOf().location);
      await redis.hset(keys.meta, {
        commit: '1.1',
        schema: '1',
        installation: '"old-one"',
        generation: '41',
        sections: '["bots","containers","tokens","replies","gone"]',
      });
      await redis.hset(keys.section('bots'), 'a', JSON.stringify(botRecord('a')));
      await redis.hset(keys.section('gone'), 'x', '{}');
      const migrations = new Map([...MIGRATIONS, [1, ({ gone: _, ...state }: Document) => state]]);
      await (await open({ migrations })).close();
      expect(await redis.exists(keys.section('gone'))).toBe(0);
      const state = (await open()).current();
      expect(state).toMatchObject({ schema: SCHEMA_VERSION, installation: 'old-one', generation: 41 });
      expect(state.bots.has('a')).toBe(true);
    });

    it.each<[string, (keys: ReturnType<typeof keysOf>) => Promise<unknown>, string, RegExp]>([
      [
        'no JSON',
        ({ section }) => redis.hset(section('bots'), 'a', 'c2VjcmV0'),
        'STORE_CORRUPT',
        /bots\.a is not JSON/,
      ],
      ['no bot', ({ section }) => redis.hset(section('bots'), 'a', '{}'), 'STORE_CORRUPT', /bots\.a/],
      ['half gone', ({ meta }) => redis.hdel(meta, 'sections'), 'STORE_CORRUPT', /not whole/],
      ['of a newer schema', ({ meta }) => redis.hset(meta, 'schema', '99'), 'UNSUPPORTED', /newer Bunkhouse/],
    ])(
      'and is %s is refused and left as it is, and the next one is not kept waiting',
      async (_, damage, code, message) => {
        await (await open()).close();
        const keys = keysOf(optionsOf().location);
        await damage(keys);
        const before = await redis.hgetall(keys.meta);
        for (let n = 0; n < 2; n++) {
          const error = await refusal(open());
          expect(error.code).toBe(code);
          expect(error.message).toMatch(message);
          expect(error.message).not.toContain('c2Vj');
        }
        expect(await redis.hgetall(keys.meta)).toEqual(before);
      },
    );

    it('leaves nothing on this disk but the name of the installation', async () => {
      const store = await open();
      await store.update((state) => ({ state: { ...state, bots: Table.of({ a: botRecord('a') }) }, result: null }));
      expect(readdirSync(folder)).toEqual(['marker']);
      expect(readFileSync(join(folder, 'marker'), 'utf8')).toBe(store.current().installation);
      expect(existsSync(join(folder, 'state.json'))).toBe(false);
    });
  });

  interface Counter {
    readonly child: ChildProcess;
    readonly lines: readonly string[];
    readonly ended: Promise<number | null>;
    last(): number;
    /** A number: until it or a later one was said. */
    until(line: string): Promise<void>;
  }

  /** A process that leads or waits, and counts while it leads. */
  async function counter(location: ValkeyLocation = optionsOf().location): Promise<Counter> {
    const options = JSON.stringify({ ...optionsOf(), location });
    const child = spawn(process.execPath, [COUNTER, options], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanUps.push(() => child.kill('SIGKILL'));
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    const last = (): number => Number(lines.findLast((line) => /^\d+$/.test(line)) ?? 0);
    const has = (line: string): boolean => lines.includes(line) || (/^\d+$/.test(line) && last() >= Number(line));
    const counter: Counter = {
      child,
      lines,
      ended: once(child, 'exit').then(([code]) => code as number | null),
      last,
      async until(line) {
        await waitFor(line, () => has(line), 20_000);
      },
    };
    await waitFor('it is up', () => lines.length > 0, 20_000);
    return counter;
  }

  /** Numbers that both were told they had counted. */
  function overlap(one: Counter, other: Counter): string[] {
    return one.lines.filter((line) => /^\d+$/.test(line) && other.lines.includes(line));
  }
});
