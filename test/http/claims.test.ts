import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type App, type AppOptions, startApp } from './app.ts';

const BOT = 130_000;
const LEASE = '{ ttlSeconds: 60, reserve: { target: 0, min: 0, batchSpacingSeconds: 0 }, maxTtlSeconds: 600 }';

/** Sends one request as this user, as often as there are addresses, and is asked what was answered. */
const CALLER = `
import http.client, json, sys
port, addresses = int(sys.argv[1]), sys.argv[2:]
line, answers = http.client.HTTPConnection('127.0.0.1', port), []
for address in addresses:
    line.request('GET', '/pool-status', headers={'X-Forwarded-For': address})
    answer = line.getresponse()
    answer.read()
    answers.append(answer.status)
print(json.dumps(answers))
`;

async function callAs(uid: number, app: App, addresses: readonly string[]): Promise<number[]> {
  const child = spawn('/usr/bin/python3', ['-c', CALLER, String(app.port), ...addresses], { uid, gid: uid, cwd: '/' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  await once(child, 'close');
  return JSON.parse(output);
}

async function start(options: Partial<AppOptions> = {}): Promise<App> {
  const app = await startApp({ lease: LEASE, compat: ['site'], open: { site: 2 }, firstBotUid: 100_000, ...options });
  onTestFinished(() => app.close());
  return app;
}

const ADDRESSES = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];

// Only root can be somebody else.
describe.skipIf(process.getuid?.() !== 0)('X-Forwarded-For from this machine', { timeout: 30_000 }, () => {
  it('is believed from a front', async () => {
    expect(await callAs(33, await start(), ADDRESSES)).toEqual([200, 200, 200, 200]);
  });

  it('is not believed from a bot: it has one allowance, whoever it says it is', async () => {
    expect(await callAs(BOT, await start(), ADDRESSES)).toEqual([200, 200, 429, 429]);
  });

  it('is believed from anybody where bots are no users of their own', async () => {
    expect(await callAs(BOT, await start({ firstBotUid: null }), ADDRESSES)).toEqual([200, 200, 200, 200]);
  });
});
