import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogChunk } from '../../lib/domain/agent.ts';
import type { BotView } from '../../lib/services/pool-api.ts';
import { type DemoBot, demoBot } from '../fixtures/exchange/demo-bot.ts';
import { type PaperExchange, startPaperExchange } from '../fixtures/exchange/server.ts';
import { createSandbox, REPOSITORY, type Sandbox, sleep } from './support.ts';

/** What FreqTrade does when things go wrong, each with a real bot: the pool must see it and do the right thing. */

let exchange: PaperExchange;
let sandbox: Sandbox;

beforeAll(async () => {
  exchange = await startPaperExchange({ host: '127.0.0.1', port: 0 });
  sandbox = await createSandbox({ basePort: 25_500, templates: { 'freqtrade.yaml': await impatientTemplate() } });
  await sandbox.start();
});
afterAll(async () => {
  await sandbox?.dispose();
  await exchange?.close();
});

/** The built-in template with shorter times; it takes the built-in's place. */
async function impatientTemplate(): Promise<string> {
  const text = await readFile(join(REPOSITORY, 'templates/freqtrade.yaml'), 'utf8');
  return text
    .replace('startupSeconds: 120', 'startupSeconds: 30')
    .replace('checkEverySeconds: 30', 'checkEverySeconds: 1')
    .replace('maxSeconds: 300', 'maxSeconds: 2');
}

async function create(id: string, change: (bot: DemoBot) => DemoBot = (bot) => bot): Promise<void> {
  await sandbox.client.create(change(await demoBot(id, exchange.url)));
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

describe('stopped', () => {
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

describe('a failure that FreqTrade reports as exit code 0 is one all the same:', () => {
  it.each([
    ['misconfigured', 'a configuration error', withConfig('"dry_run": true', '"dry_run": "maybe"')],
    ['mistyped', 'an unknown flag', (bot: DemoBot): DemoBot => ({ ...bot, args: [...bot.args, '--nonsense'] })],
  ])('%s: %s', async (id, _, change) => {
    await create(id, change);
    expect((await keepsFailing(id)).reason).toBe('exited with code 0');
    await remove(id);
  });
});

describe('a bot that ends with an error is tried again and never replaced by something else:', () => {
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

describe('an exchange that is away', () => {
  it('at the start ends the bot, and it runs by itself once the exchange is back', async () => {
    exchange.setFault({ kind: 'outage' });
    await create('early');
    expect((await keepsFailing('early')).reason).toBe('exited with code 2');
    exchange.setFault(null);
    await running('early');
    await remove('early');
  });

  it('at the start with enable_ws leaves the bot hanging: it is ended at its startup deadline', async () => {
    exchange.setFault({ kind: 'outage' });
    await create('hanging', withConfig('"enable_ws": false', '"enable_ws": true'));
    await sandbox.until('it was restarted', async () => (await sandbox.client.bot('hanging')).restarts >= 1, 90);
    expect((await sandbox.client.bot('hanging')).state).not.toBe('running');
    exchange.setFault(null);
    await running('hanging');
    await remove('hanging');
  });

  it('later is waited for: the bot goes on as the same process', async () => {
    await create('patient');
    const { pid } = await running('patient');
    exchange.setFault({ kind: 'outage' });
    await sleep(15_000);
    exchange.setFault(null);
    expect(await sandbox.client.bot('patient')).toMatchObject({ pid, state: 'running', restarts: 0 });
    await remove('patient');
  });
});

describe('the API port taken by another', () => {
  let taker: Server;
  afterAll(() => taker?.close());

  it('is noticed although the bot neither ends nor complains, and nobody is sent to the other', async () => {
    await create('first');
    const { port } = await running('first');
    const taken = (port ?? 0) + 1;
    taker = createServer((_, response) => response.end(JSON.stringify({ bot_name: 'somebody else', status: 'pong' })));
    await new Promise<void>((resolve) => taker.listen(taken, '127.0.0.1', resolve));
    await create('second');
    const second = await sandbox.until(
      'its trouble is seen',
      async () => {
        const bot = await sandbox.client.bot('second');
        return ['unhealthy', 'backoff'].includes(bot.state) && bot.reason !== '' && bot;
      },
      90,
    );
    expect(second.port).toBe(taken);
    expect(await sandbox.client.request('/bots/second/api/v1/ping')).toMatchObject({
      status: 503,
      body: { code: 'BOT_UNAVAILABLE' },
    });
  });

  it('heals by itself once the port is free', async () => {
    taker.closeAllConnections();
    await new Promise((resolve) => taker.close(resolve));
    await sandbox.until(
      'it answers with its own name',
      async () => {
        const { status, body } = await sandbox.client.request('/bots/second/api/v1/show_config');
        return status === 200 && (body as { bot_name: string }).bot_name === 'second';
      },
      120,
    );
    expect(await sandbox.client.bot('first')).toMatchObject({ state: 'running', restarts: 0 });
    await remove('first');
    await remove('second');
  });
});

describe('the notifications', () => {
  const says = (id: string, status: string) =>
    sandbox.until(`${id} says ${status}`, async () => (await sandbox.client.bot(id)).status === status);

  it('go on while its owner has stopped trading by FreqTrade itself: the bot is left alone', async () => {
    await create('quiet');
    const { pid } = await running('quiet');
    await sandbox.client.post('/bots/quiet/api/v1/stop');
    await says('quiet', 'State: STOPPED.');
    await sleep(5_000);
    expect(await sandbox.client.bot('quiet')).toMatchObject({ pid, state: 'running', restarts: 0 });
  });

  it('follow a reload of the configuration, in which the port blinks: the process stays', async () => {
    const { pid } = await sandbox.client.bot('quiet');
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
    expect(await logOf('fallen')).toContain('Stopping trader');
    expect(sandbox.processesOf('fallen')).toHaveLength(1);
    await remove('fallen');
  });
});
