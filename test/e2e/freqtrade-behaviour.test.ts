import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { LogChunk } from '../../lib/domain/agent.ts';
import type { BotView, SweepReport } from '../../lib/services/pool-api.ts';
import { type DemoBot, demoBot } from '../fixtures/exchange/demo-bot.ts';
import { type PaperExchange, startPaperExchange } from '../fixtures/exchange/server.ts';
import { createSandbox, REPOSITORY, type Sandbox, sleep } from './support.ts';

/**
 * What FreqTrade does when things go wrong, each with a real bot: the pool must see it and do the right thing. The tests
 * run side by side, as most of their time is waiting.
 */

let exchange: PaperExchange;
let sandbox: Sandbox;

beforeAll(async () => {
  exchange = await startPaperExchange({ host: '127.0.0.1', port: 0 });
  sandbox = await createSandbox({ basePort: 25_500, templates: await impatientTemplate() });
  await sandbox.start();
});
afterAll(async () => {
  await sandbox?.dispose();
  await exchange?.close();
});

/** The built-in template with shorter times, and the files it names; it takes the built-in's place. */
async function impatientTemplate(): Promise<Record<string, string>> {
  const names = ['freqtrade.yaml', 'freqtrade.preload.txt', 'freqtrade.warmup.py'];
  const texts = await Promise.all(names.map((name) => readFile(join(REPOSITORY, 'templates', name), 'utf8')));
  const [template = '', ...beside] = texts;
  const impatient = template
    .replace('startupSeconds: 120', 'startupSeconds: 30')
    .replace('checkEverySeconds: 30', 'checkEverySeconds: 1')
    .replace('maxSeconds: 300', 'maxSeconds: 2');
  return Object.fromEntries([impatient, ...beside].map((text, index) => [names[index], text]));
}

async function create(id: string, change: (bot: DemoBot) => DemoBot = (bot) => bot): Promise<void> {
  await sandbox.client.create(change(await demoBot(id, exchange.url)));
}

/** An exchange for one test alone, which is away. */
async function awayExchange(onTestFinished: TestContext['onTestFinished']): Promise<PaperExchange> {
  const away = await startPaperExchange({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => away.close());
  away.setFault({ kind: 'outage' });
  return away;
}

const withStrategy =
  (body: string) =>
  (bot: DemoBot): DemoBot => ({
    ...bot,
    files: {
      ...bot.files,
      'user_data/strategies/DemoStrategy.py': `${bot.files['user_data/strategies/DemoStrategy.py']}\n${body}\n`,
    },
  });

const withConfig =
  (from: string, to: string) =>
  (bot: DemoBot): DemoBot => {
    const config = bot.files['config.json'] ?? '';
    expect(config).toContain(from);
    return { ...bot, files: { ...bot.files, 'config.json': config.replace(from, to) } };
  };

async function logOf(id: string): Promise<string> {
  const reply = await sandbox.client.request(`/api/bots/${id}/logs`);
  return typeof reply.body === 'string' ? reply.body : (reply.body as LogChunk).data;
}

async function running(id: string): Promise<BotView> {
  return sandbox.untilState(id, 'running', 90);
}

/** It was started at least twice more. */
async function keepsFailing(id: string): Promise<BotView> {
  return sandbox.until(
    `${id} has failed three times`,
    async () => {
      const bot = await sandbox.client.bot(id);
      return bot.restarts >= 2 && bot.state === 'backoff' && bot;
    },
    120,
  );
}

async function remove(id: string): Promise<void> {
  await sandbox.client.delete(`/api/bots/${id}`);
  await sandbox.until(`${id} is gone`, async () => {
    return (await sandbox.client.request(`/api/bots/${id}`)).status === 404;
  });
}

describe.concurrent('stopped', () => {
  it('ends by SIGINT within seconds and leaves its database', async () => {
    await create('stopped');
    await running('stopped');
    const [{ directory } = { directory: '' }] = sandbox.processesOf('stopped');
    await sandbox.client.post('/api/bots/stopped/stop');
    await sandbox.untilState('stopped', 'stopped', 15);
    expect(await logOf('stopped')).toContain('SIGINT received');
    expect((await readFile(join(directory, 'tradesv3.dryrun.sqlite'))).length).toBeGreaterThan(0);
    await remove('stopped');
  });
});

describe.concurrent('a failure that FreqTrade reports as exit code 0 is one all the same:', () => {
  it.each([
    ['misconfigured', 'a configuration error', withConfig('"dry_run": true', '"dry_run": "maybe"')],
    ['mistyped', 'an unknown flag', (bot: DemoBot): DemoBot => ({ ...bot, args: [...bot.args, '--nonsense'] })],
  ])('%s: %s', async (id, _, change) => {
    await create(id, change);
    expect((await keepsFailing(id)).reason).toBe('exited with code 0');
    await remove(id);
  });
});

describe.concurrent('a bot that ends with an error is tried again and never replaced by something else:', () => {
  it('its strategy is missing', async () => {
    await create('lost', (bot) => ({ ...bot, args: ['--strategy', 'NoSuchStrategy'] }));
    expect((await keepsFailing('lost')).reason).toBe('exited with code 2');
    expect(await logOf('lost')).toContain("Impossible to load Strategy 'NoSuchStrategy'");
    await remove('lost');
  });

  it('its strategy crashes it', async () => {
    await create('crash', withStrategy('    def analyze(self, pairs):\n        raise RuntimeError("made to crash")'));
    expect((await keepsFailing('crash')).reason).toBe('exited with code 1');
    expect(await logOf('crash')).toContain('made to crash');
    await remove('crash');
  });

  it('its configuration file is missing: refused at the door', async () => {
    const { files: _, ...bot } = await demoBot('bare', exchange.url);
    const reply = await sandbox.client.request('/api/bots', { method: 'POST', json: bot });
    expect(reply).toMatchObject({ status: 400, body: { code: 'INVALID' } });
    expect(JSON.stringify(reply.body)).toContain('config.json');
  });
});

describe.concurrent('an exchange that is away', () => {
  it('at the start ends the bot, and it runs by itself once the exchange is back', async ({ onTestFinished }) => {
    const away = await awayExchange(onTestFinished);
    await sandbox.client.create(await demoBot('early', away.url));
    expect((await keepsFailing('early')).reason).toBe('exited with code 2');
    away.setFault(null);
    await running('early');
    await remove('early');
  });

  it('at the start with enable_ws leaves the bot hanging: it is ended at its startup deadline', async ({
    onTestFinished,
  }) => {
    const away = await awayExchange(onTestFinished);
    const change = withConfig('"enable_ws": false', '"enable_ws": true');
    await sandbox.client.create(change(await demoBot('hanging', away.url)));
    await sandbox.until('it was restarted', async () => (await sandbox.client.bot('hanging')).restarts >= 1, 90);
    expect((await sandbox.client.bot('hanging')).state).not.toBe('running');
    away.setFault(null);
    await running('hanging');
    await remove('hanging');
  });

  it('later is waited for: the bot goes on as the same process', async ({ onTestFinished }) => {
    const away = await awayExchange(onTestFinished);
    away.setFault(null);
    await sandbox.client.create(await demoBot('patient', away.url));
    const { pid } = await running('patient');
    away.setFault({ kind: 'outage' });
    await sleep(15_000);
    expect(await sandbox.client.bot('patient')).toMatchObject({ pid, state: 'running', restarts: 0 });
    await remove('patient');
  });
});

describe.concurrent('the API port taken by another', () => {
  it('is noticed although the bot neither ends nor complains; nobody is sent to the other; it heals by itself', async ({
    onTestFinished,
  }) => {
    // A pool of their own, so that nobody else takes the next slot.
    const alone = (bot: DemoBot): DemoBot => ({ ...bot, group: 'ports' });
    await create('first', alone);
    const { port } = await running('first');
    const taken = (port ?? 0) + 1;
    const stranger = createServer((_, reply) => reply.end(JSON.stringify({ bot_name: 'a stranger', status: 'pong' })));
    onTestFinished(() => void stranger.close());
    await new Promise<void>((resolve) => stranger.listen(taken, '127.0.0.1', resolve));
    await create('second', alone);
    const second = await sandbox.until(
      'its trouble is seen',
      async () => {
        const bot = await sandbox.client.bot('second');
        return ['unhealthy', 'backoff'].includes(bot.state) && bot.reason !== '' && bot;
      },
      90,
    );
    expect(second.port).toBe(taken);
    const answer = await sandbox.client.request('/bots/second/api/v1/ping');
    expect(answer).toMatchObject({ status: 503, body: { code: 'BOT_UNAVAILABLE' } });

    stranger.closeAllConnections();
    stranger.close();
    await sandbox.until(
      'it answers with its own name',
      async () => {
        const { status, body } = await sandbox.client.request('/bots/second/api/v1/show_config');
        return status === 200 && (body as { bot_name: string }).bot_name === 'second';
      },
      120,
    );
    expect(await sandbox.client.bot('first')).toMatchObject({ state: 'running', restarts: 0 });
  });
});

describe.concurrent('the notifications', () => {
  const says = (id: string, status: string) =>
    sandbox.until(`${id} says ${status}`, async () => (await sandbox.client.bot(id)).status === status);

  it('go on while its owner has stopped trading by FreqTrade itself, and over a reload: the process stays', async () => {
    await create('quiet');
    const { pid } = await running('quiet');
    await sandbox.client.post('/bots/quiet/api/v1/stop');
    await says('quiet', 'State: STOPPED.');
    await sleep(5_000);
    expect(await sandbox.client.bot('quiet')).toMatchObject({ pid, state: 'running', restarts: 0 });

    // The port blinks in this.
    await sandbox.client.post('/bots/quiet/api/v1/reload_config');
    await says('quiet', 'State: RUNNING.');
    await running('quiet');
    expect(await sandbox.client.bot('quiet')).toMatchObject({ pid, restarts: 0 });
    await remove('quiet');
  });

  it('tell that trading stopped after an OperationalException, which the process outlives', async () => {
    const analyze = `
    def analyze(self, pairs):
        from freqtrade.exceptions import OperationalException
        raise OperationalException("made to fail")`;
    await create('fallen', withStrategy(analyze));
    await running('fallen');
    await says('fallen', 'State: STOPPED.');
    const { issues } = await sandbox.client.post<SweepReport>('/api/pool/health-check');
    expect(issues).toContainEqual({ target: 'fallen', problem: expect.stringContaining('trading is stopped') });
    expect(await logOf('fallen')).toContain('Stopping trader');
    expect(sandbox.processesOf('fallen')).toHaveLength(1);
    await remove('fallen');
  });
});
