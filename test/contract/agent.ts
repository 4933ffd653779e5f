import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { ArchiveInfo, BotObservation, BotSpec, RestoreOrder } from '../../lib/domain/agent.ts';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { ExecStep, ResetStep } from '../../lib/domain/template.ts';
import type { Agent } from '../../lib/drivers/driver.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Contract, codeOf, readBot } from './harness.ts';

const PROMPT_MS = 1_500;

/** The part of the contract that is about bots inside a container. */
export function agentContract(contract: Contract): void {
  const start = async (overrides: Partial<BotSpec> = {}) => {
    const { record, agent } = await contract.running();
    const spec = contract.harness.fixtureSpec('bot', { slot: 0, port: record.basePort, generation: 5, ...overrides });
    return { record, agent, spec, applied: await agent.apply(spec) };
  };
  const started = async (overrides: Partial<BotSpec> = {}) => {
    const { record, agent, spec } = await start(overrides);
    return { record, agent, spec, bot: await runs(agent) };
  };
  const stopped = async (overrides: Partial<BotSpec> = {}) => {
    const { record, agent, spec } = await start({ run: false, ...overrides });
    await waitFor('the bot stops', () => readBot(agent, 'bot', 'stopped'));
    return { record, agent, spec };
  };

  describe('listener', () => {
    it('tells which process listens on the port now, and that nobody does', async () => {
      const { agent, spec, bot } = await started();
      const seen = await waitFor('it listens', async () => {
        const now = await agent.listener('bot');
        return now.listener === 'self' ? now : null;
      });
      expect(seen).toEqual({ listener: 'self', pid: bot.pid, startedAt: bot.startedAt });
      await agent.apply({ ...spec, generation: 6, run: false });
      await waitFor('the bot stops', () => readBot(agent, 'bot', 'stopped'));
      expect(await agent.listener('bot')).toEqual({ listener: 'none', pid: null, startedAt: null });
    });

    it('knows no bot that was not applied', async () => {
      const { agent } = await stopped();
      expect(await codeOf(agent.listener('other'))).toBe('NOT_FOUND');
    });
  });

  describe('apply', () => {
    it('starts a bot, which is running once it is ready', async () => {
      const { spec, bot } = await started();
      expect(bot).toMatchObject({
        bot: 'bot',
        slot: spec.slot,
        port: spec.port,
        generation: 5,
        startedGeneration: 5,
        run: true,
        restarts: 0,
        lastExit: null,
        nextStartAt: null,
      });
      expect(bot.pid).toBeGreaterThan(1);
      expect(bot.readyAt).toBeGreaterThanOrEqual(bot.startedAt ?? Number.POSITIVE_INFINITY);
    });

    it('answers with the bot as it is now', async () => {
      const { applied } = await start();
      expect(applied).toMatchObject({ bot: 'bot', generation: 5, run: true });
    });

    it('twice is the same as once', async () => {
      const { agent, spec, bot } = await started();
      await Promise.all([agent.apply(spec), agent.apply(spec)]);
      expect(await runs(agent)).toMatchObject({ pid: bot.pid, restarts: 0 });
    });

    it('changes a running bot without a restart', async () => {
      const { agent, spec, bot } = await started();
      await agent.apply({ ...spec, generation: 6, env: { ...spec.env, COLOUR: 'blue' } });
      expect(await runs(agent)).toMatchObject({ pid: bot.pid, generation: 6, startedGeneration: 5 });
    });

    it('tells the limits as last applied, also while another process than theirs runs', async () => {
      const { agent, spec, bot } = await started();
      expect(bot.limits).toEqual(spec.limits);
      const limits = { ...spec.limits, pssBytes: 300 << 20, cpuWeight: 10, processes: 64 };
      await agent.apply({ ...spec, generation: 6, limits });
      expect(await runs(agent)).toMatchObject({ pid: bot.pid, limits });
    });

    it('restarts a process that was started under an older generation than asked for, once', async () => {
      const { agent, spec, bot } = await started();
      const newer = { ...spec, generation: 6, restartGeneration: 6 };
      await agent.apply(newer);
      const after = await waitFor('another process', async () => {
        const now = await readBot(agent, 'bot', 'running');
        return now?.pid === bot.pid ? null : now;
      });
      expect(after).toMatchObject({ startedGeneration: 6, restarts: 0, lastExit: { expected: true } });
      await agent.apply(newer);
      expect(await runs(agent)).toMatchObject({ pid: after.pid });
    });

    it('refuses a generation older than one it has seen, says which, and changes nothing', async () => {
      const { agent, spec, bot } = await started();
      const error = await agent.apply({ ...spec, generation: 4, run: false }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(BunkhouseError);
      expect(error).toMatchObject({ code: 'STALE_GENERATION', details: { generation: 5 } });
      expect(await runs(agent)).toMatchObject({ pid: bot.pid, generation: 5 });
    });

    it('remembers generations when the container is started anew', async () => {
      const { record, agent, spec } = await stopped();
      await contract.harness.driver.stop(record.name, 1);
      await contract.harness.driver.start(record.name);
      const again = await contract.connect(record.name);
      expect(await codeOf(again.apply({ ...spec, generation: 4 }))).toBe('STALE_GENERATION');
      expect(await codeOf(again.apply(spec))).toBe('no error');
      await agent.close();
    });

    it('refuses a slot or port that is another bot’s', async () => {
      const { agent, record, spec } = await stopped();
      const other = contract.harness.fixtureSpec('other', { slot: 1, port: record.basePort + 1, run: false });
      expect(await codeOf(agent.apply({ ...other, slot: spec.slot }))).toBe('CONFLICT');
      expect(await codeOf(agent.apply({ ...other, port: spec.port }))).toBe('CONFLICT');
      expect((await agent.observe()).bots.map(({ bot }) => bot)).toEqual(['bot']);
      expect(await codeOf(agent.apply(other))).toBe('no error');
    });

    it('refuses paths that leave the bot’s directory, and ids with path characters', async () => {
      const { agent, spec } = await stopped();
      const file = { mode: 0o600, when: 'always', data: '' } as const;
      for (const path of ['../x', '/etc/x', 'a/../../x', '']) {
        expect(await codeOf(agent.apply({ ...spec, files: [{ ...file, path }] }))).toBe('INVALID');
      }
      expect(await codeOf(agent.apply({ ...spec, bot: '../bot', slot: 1, port: spec.port + 1 }))).toBe('INVALID');
    });

    it('writes files: always, or only when absent', async () => {
      const files = (always: string, absent: string): BotSpec['files'] => [
        { path: 'a/always.txt', mode: 0o600, when: 'always', data: Buffer.from(always).toString('base64') },
        { path: 'absent.txt', mode: 0o600, when: 'absent', data: Buffer.from(absent).toString('base64') },
      ];
      const { agent, spec } = await stopped({ files: files('one', 'one') });
      await agent.apply({ ...spec, generation: 6, files: files('two', 'two') });
      const content = (await fetchAll(agent, await agent.archive('bot'))).toString('latin1');
      expect(content).toMatch(/always\.txt.*two/s);
      expect(content).toMatch(/absent\.txt.*one/s);
    });
  });

  describe('a bot', () => {
    it('stops when asked to and stays stopped', async () => {
      const { agent, spec } = await started();
      await agent.apply({ ...spec, generation: 6, run: false });
      const bot = await waitFor('the bot stops', () => readBot(agent, 'bot', 'stopped'));
      expect(bot).toMatchObject({ run: false, pid: null, startedGeneration: null, lastExit: { expected: true } });
    });

    it('is started again after it was killed', async () => {
      const { record, agent, bot } = await started();
      await contract.harness.kill(record.name, bot);
      const after = await waitFor('another process', async () => {
        const now = await readBot(agent, 'bot', 'running');
        return now?.pid === bot.pid ? null : now;
      });
      expect(after).toMatchObject({
        restarts: 1,
        startedGeneration: 5,
        lastExit: { code: null, signal: 'SIGKILL', expected: false },
      });
    });

    it('waits in backoff for its next start, which a newer generation cuts short', async () => {
      const backoff = { minSeconds: 600, maxSeconds: 600, healthySeconds: 600 };
      const { record, agent, spec, bot } = await started({ backoff });
      await contract.harness.kill(record.name, bot);
      const waiting = await waitFor('backoff', () => readBot(agent, 'bot', 'backoff'));
      expect(waiting.pid).toBeNull();
      expect((waiting.nextStartAt ?? 0) - (waiting.lastExit?.at ?? 0)).toBeGreaterThan(100);
      await agent.apply({ ...spec, generation: 6 });
      expect((await runs(agent)).pid).not.toBe(bot.pid);
    });
  });

  describe('wait', () => {
    it('answers at once for a cursor of another time', async () => {
      const { agent, bot } = await started();
      expect((await agent.wait(0, 30)).changed).toContain(bot.bot);
    });

    it('answers the moment a bot dies, and keeps nobody else waiting meanwhile', async () => {
      const { record, agent, bot } = await started();
      const cursor = await settledCursor(agent);
      const waiting = agent.wait(cursor, 30);
      await agent.observe();
      await contract.harness.kill(record.name, bot);
      const died = performance.now();
      expect((await waiting).changed).toEqual(['bot']);
      expect(performance.now() - died).toBeLessThan(PROMPT_MS);
    });

    it('answers with no changes when the time runs out', async () => {
      const { agent } = await stopped();
      const cursor = await settledCursor(agent);
      expect(await agent.wait(cursor, 0.2)).toMatchObject({ cursor, changed: [] });
    });

    it('ends when it is aborted, and when the container ends', async () => {
      const { record, agent } = await stopped();
      const cursor = await settledCursor(agent);
      const abort = new AbortController();
      const aborted = codeOf(agent.wait(cursor, 30, abort.signal));
      const broken = codeOf(agent.wait(cursor, 30));
      abort.abort();
      expect(await aborted).toBe('AGENT_UNAVAILABLE');
      await contract.harness.driver.stop(record.name, 1);
      expect(await broken).toBe('AGENT_UNAVAILABLE');
      expect(await codeOf(agent.observe())).toBe('AGENT_UNAVAILABLE');
    });
  });

  describe('remove', () => {
    it('refuses while the process lives', async () => {
      const { agent, bot } = await started();
      expect(await codeOf(agent.remove('bot', 6))).toBe('CONFLICT');
      expect(await runs(agent)).toMatchObject({ pid: bot.pid });
    });

    it('takes the bot, its directory and its output', async () => {
      const { agent } = await stopped();
      await agent.remove('bot', 6);
      expect(await agent.observe()).toMatchObject({ bots: [], directories: [] });
      expect(await codeOf(agent.log('bot', 0, 100))).toBe('NOT_FOUND');
    });

    it('refuses an older generation', async () => {
      const { agent } = await stopped();
      expect(await codeOf(agent.remove('bot', 4))).toBe('STALE_GENERATION');
      expect((await agent.observe()).directories).toEqual(['bot']);
    });

    it('may be repeated, and no late command of that time brings the bot back', async () => {
      const { agent, spec } = await stopped();
      await agent.remove('bot', 6);
      await agent.remove('bot', 6);
      await agent.remove('never-seen', 1);
      for (const generation of [5, 6]) {
        const error = await agent.apply({ ...spec, generation }).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'STALE_GENERATION', details: { generation: 6 } });
      }
      await agent.apply({ ...spec, generation: 7, run: true });
      expect(await runs(agent)).toMatchObject({ generation: 7 });
    });
  });

  describe('reset', () => {
    const exec = (...command: string[]): ExecStep => ({ kind: 'exec', command, stdin: '', timeoutSeconds: 30 });
    const clear = (...keep: string[]): ResetStep => ({ kind: 'clear', keep });
    const files = ['kept.txt', 'gone.txt', 'folder/kept.txt', 'folder/gone.txt'].map(
      (path) => ({ path, mode: 0o600, when: 'always', data: '' }) as const,
    );

    it('clears the directory but for what is to be kept, and may be repeated', async () => {
      const { agent } = await stopped({ files });
      const rule = { steps: [exec('true'), clear('kept.txt', 'folder/kept.txt')], verify: [exec('true')] };
      await agent.reset('bot', 5, rule);
      await agent.reset('bot', 5, rule);
      const tar = (await fetchAll(agent, await agent.archive('bot'))).toString('latin1');
      expect(tar).toMatch(/kept\.txt/);
      expect(tar).toMatch(/folder\/kept\.txt/);
      expect(tar).not.toMatch(/gone/);
    });

    it('leaves nothing to hear of the life before, and the bot can live again', async () => {
      const { agent, spec } = await started();
      await agent.apply({ ...spec, generation: 6, run: false });
      await waitFor('the bot stops', () => readBot(agent, 'bot', 'stopped'));
      expect((await agent.log('bot', 0, 100)).size).toBeGreaterThan(0);
      await agent.reset('bot', 6, { steps: [clear()], verify: [] });
      const forgotten = { generation: 6, run: false, state: 'stopped', restarts: 0, lastExit: null, status: '' };
      expect(await readBot(agent, 'bot', 'stopped')).toMatchObject(forgotten);
      await agent.apply({ ...spec, generation: 7 });
      expect(await runs(agent)).toMatchObject({ startedGeneration: 7, restarts: 0, lastExit: null });
    });

    it('says RESET_FAILED when a step or a check fails', async () => {
      const { agent } = await stopped({ files });
      expect(await codeOf(agent.reset('bot', 5, { steps: [exec('false'), clear()], verify: [] }))).toBe('RESET_FAILED');
      expect((await fetchAll(agent, await agent.archive('bot'))).toString('latin1')).toMatch(/gone/);
      expect(await codeOf(agent.reset('bot', 5, { steps: [clear()], verify: [exec('false')] }))).toBe('RESET_FAILED');
    });

    it('refuses while the process lives, an older generation, and a bot that is not there', async () => {
      const nothing = { steps: [], verify: [] };
      const { agent, spec, bot } = await started();
      expect(await codeOf(agent.reset('bot', 5, nothing))).toBe('CONFLICT');
      expect(await runs(agent)).toMatchObject({ pid: bot.pid });
      await agent.apply({ ...spec, generation: 6, run: false });
      await waitFor('the bot stops', () => readBot(agent, 'bot', 'stopped'));
      expect(await codeOf(agent.reset('bot', 5, nothing))).toBe('STALE_GENERATION');
      expect(await codeOf(agent.reset('nobody', 5, nothing))).toBe('NOT_FOUND');
    });
  });

  describe('log', () => {
    it('gives the bytes asked for, counted from the end when negative', async () => {
      const { agent } = await started();
      const whole = await waitFor('some output', async () => {
        const chunk = await agent.log('bot', 0, 65_536);
        return chunk.size > 10 ? chunk : null;
      });
      expect(whole).toMatchObject({ offset: 0, data: expect.stringContaining('bot') });
      const tail = await agent.log('bot', -8, 8);
      expect(tail).toMatchObject({ file: whole.file, offset: tail.size - 8, next: tail.size });
      const pieces = [await agent.log('bot', 0, 7), await agent.log('bot', 7, 65_536)];
      expect(pieces.map(({ data }) => data).join('')).toContain(whole.data);
      const beyond = await agent.log('bot', 10_000_000, 100);
      expect(beyond).toMatchObject({ data: '', offset: beyond.size });
    });

    it('says NOT_FOUND for a bot that is not there', async () => {
      const { agent } = await contract.running();
      expect(await codeOf(agent.log('nobody', 0, 100))).toBe('NOT_FOUND');
    });
  });

  describe('archive', () => {
    it('packs the directory of a stopped bot, fetched in pieces with the right sum', async () => {
      const data = Buffer.from(Array.from({ length: 600_000 }, (_, index) => (index * index * 7919) >> 5));
      const files = [{ path: 'trades.sqlite', mode: 0o600, when: 'always', data: data.toString('base64') }] as const;
      const { agent } = await stopped({ files });
      const info = await agent.archive('bot');
      const tar = await fetchAll(agent, info);
      expect(tar.includes('trades.sqlite')).toBe(true);
      expect(tar.includes(data)).toBe(true);
      await agent.discardArchive(info.archive);
      await agent.discardArchive(info.archive);
      expect(await codeOf(agent.fetchArchive(info.archive, 0, 10))).toBe('NOT_FOUND');
    });

    it('works for a bot that was not applied since the container started', async () => {
      const { record } = await stopped({ files: [{ path: 'kept', mode: 0o600, when: 'always', data: 'a2VwdA==' }] });
      await contract.harness.driver.stop(record.name, 1);
      await contract.harness.driver.start(record.name);
      const agent = await contract.connect(record.name);
      expect((await fetchAll(agent, await agent.archive('bot'))).includes('kept')).toBe(true);
    });

    it('says CONFLICT while the process lives, NOT_FOUND where there is nothing', async () => {
      const { agent } = await started();
      expect(await codeOf(agent.archive('bot'))).toBe('CONFLICT');
      expect(await codeOf(agent.archive('nobody'))).toBe('NOT_FOUND');
    });
  });

  describe('backup and restore', () => {
    const file = (path: string, text: string) =>
      ({ path, mode: 0o600, when: 'absent', data: Buffer.from(text).toString('base64') }) as const;

    async function backedUp(agent: Agent): Promise<Buffer> {
      const info = await agent.backup('bot');
      expect(info).toMatchObject({ damaged: [], skipped: [], damagedCount: 0, skippedCount: 0 });
      return fetchPacked(agent, info);
    }

    async function send(agent: Agent, data: Buffer): Promise<RestoreOrder> {
      const upload = '0123456789abcdef';
      for (let offset = 0; offset < data.length; offset += 1000) {
        await agent.sendArchive('bot', upload, offset, data.subarray(offset, offset + 1000));
      }
      const sha256 = createHash('sha256').update(data).digest('hex');
      return { upload, sha256, maxBytes: 1 << 20, tolerate: false };
    }

    it('packs a bot that runs, and puts it in place of a stopped one', async () => {
      const { agent, spec, bot } = await started({ files: [file('a/one', 'one')] });
      const data = await backedUp(agent);
      expect(gunzipSync(data).includes('one')).toBe(true);
      expect(await runs(agent)).toMatchObject({ pid: bot.pid });
      expect(await codeOf(agent.restore('bot', 5, await send(agent, data)))).toBe('CONFLICT');
      await agent.apply({ ...spec, generation: 6, run: false, files: [file('later', 'later')] });
      await waitFor('the bot stops', () => readBot(agent, 'bot', 'stopped'));
      for (let again = 0; again < 2; again++) {
        expect((await agent.restore('bot', 6, await send(agent, data))).files).toBeGreaterThan(0);
        const tar = (await fetchAll(agent, await agent.archive('bot'))).toString('latin1');
        expect(tar).toMatch(/a\/one/);
        expect(tar).not.toMatch(/later/);
      }
      const order = await send(agent, data);
      await agent.restore('bot', 6, order);
      expect(await agent.restored('bot', order.upload)).toBe(true);
      expect(await agent.restored('bot', 'f'.repeat(16))).toBe(false);
      expect(await agent.restored('nobody', order.upload)).toBe(false);
      await agent.apply({ ...spec, generation: 7 });
      expect(await runs(agent)).toMatchObject({ startedGeneration: 7 });
    });

    it('changes nothing when it refuses', async () => {
      const { agent } = await stopped({ files: [file('one', 'one'.repeat(1000))] });
      const data = await backedUp(agent);
      const before = await fetchAll(agent, await agent.archive('bot'));
      const restore = async (change: Partial<RestoreOrder>, generation = 5): Promise<string> =>
        codeOf(agent.restore('bot', generation, { ...(await send(agent, data)), ...change }));
      expect(await restore({ sha256: '0'.repeat(64) })).toBe('INVALID');
      expect(await restore({ maxBytes: 10 })).toBe('INVALID');
      expect(await restore({ upload: 'f'.repeat(16) })).toBe('NOT_FOUND');
      expect(await restore({}, 4)).toBe('STALE_GENERATION');
      const broken = await send(agent, data.subarray(0, data.length >> 1));
      expect(await codeOf(agent.restore('bot', 5, broken))).toBe('INVALID');
      expect(await agent.restored('bot', broken.upload)).toBe(false);
      expect(await fetchAll(agent, await agent.archive('bot'))).toEqual(before);
      expect(await codeOf(agent.sendArchive('bot', 'e'.repeat(16), 5, data))).toBe('NOT_FOUND');
      expect(await codeOf(agent.backup('nobody'))).toBe('NOT_FOUND');
    });
  });
}

function runs(agent: Agent): Promise<BotObservation> {
  return waitFor('the bot runs', () => readBot(agent, 'bot', 'running'));
}

/** A cursor after which nothing happened for a while. */
async function settledCursor(agent: Agent): Promise<number> {
  let { cursor } = await agent.observe();
  for (let result = await agent.wait(cursor, 0.4); result.changed.length > 0; result = await agent.wait(cursor, 0.4)) {
    cursor = result.cursor;
  }
  return cursor;
}

/** The unpacked tar file. */
async function fetchAll(agent: Agent, info: ArchiveInfo): Promise<Buffer> {
  return gunzipSync(await fetchPacked(agent, info));
}

/** The archive, having checked its length and sum. */
async function fetchPacked(agent: Agent, info: ArchiveInfo): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < info.bytes; ) {
    const piece = await agent.fetchArchive(info.archive, offset, 100_000);
    expect(piece.length).toBeGreaterThan(0);
    pieces.push(piece);
    offset += piece.length;
  }
  const bytes = Buffer.concat(pieces);
  expect(bytes.length).toBe(info.bytes);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(info.sha256);
  return bytes;
}
