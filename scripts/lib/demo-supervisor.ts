import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { type Client, createClient } from '../../lib/cli/client.ts';
import { urlOf } from '../../lib/config/cli.ts';
import type { Config } from '../../lib/config/settings.ts';
import { LOG_REDACTION } from '../../lib/http/access-log.ts';
import { serve } from '../../lib/main.ts';
import type { Steps } from './steps.ts';

export interface DemoSupervisor {
  readonly client: Client;
  /** Whether this process runs it; otherwise it was there already. */
  readonly own: boolean;
  /** Ends it, and with STOP_ON_EXIT the bots, when it is our own. */
  close(): Promise<void>;
}

/**
 * The supervisor at the configured address: the one that answers there, or a new one in this process, so that the two
 * live and die together. Its log goes to a file.
 */
export async function attachOrServe(config: Config, env: NodeJS.ProcessEnv, steps: Steps): Promise<DemoSupervisor> {
  const url = urlOf(config);
  const token = (): string => readFileSync(config.adminTokenFile, 'utf8').trim();
  const client = createClient({ url: () => url, token });
  if (await answers(url)) {
    await client.call('GET', '/api/pool/status').catch((cause: unknown) => {
      const next = 'Give the DATA_DIR it was started with, or set another PORT and POOL_BASE_PORT.';
      throw new Error(`A supervisor runs at ${url}, but it keeps its data elsewhere. ${next}`, { cause });
    });
    steps.line(`✓ the supervisor runs already at ${url}`);
    return { client, own: false, close: async () => {} };
  }
  const file = join(config.dataDir, 'supervisor.log');
  const log = pino(
    { level: config.logLevel, redact: LOG_REDACTION, base: null },
    pino.destination({ dest: file, mkdir: true, mode: 0o600, sync: true }),
  );
  const running = await steps.run(`supervisor at ${url}, its log in ${file}`, () => serve(config, env, log));
  const title = config.stopOnExit ? 'stopping the bots and the supervisor' : 'stopping the supervisor; the bots go on';
  return { client, own: true, close: () => steps.run(title, () => running.close()) };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) });
    const health = (await response.json()) as { ready?: unknown };
    return typeof health.ready === 'boolean';
  } catch {
    return false;
  }
}
