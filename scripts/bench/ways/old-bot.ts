import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { traderOn } from './trader.ts';
import type { Ground } from './way.ts';

/** Bots whose owner keeps their folder, port and password by hand, as without Bunkhouse. */

const CREDENTIALS = { username: 'u', password: 'p' };
const PATIENCE_MS = 10_000;

/** Writes a bot's configuration, with its API in it, and its strategy. Returns the folder. */
export async function layOut(
  folder: string,
  id: string,
  ground: Ground,
  listen: { readonly host: string; readonly port: number },
): Promise<string> {
  const { files } = await traderOn(ground, id);
  const config = {
    ...(JSON.parse(files['config.json'] ?? '{}') as object),
    bot_name: id,
    initial_state: 'running',
    api_server: {
      enabled: true,
      listen_ip_address: listen.host,
      listen_port: listen.port,
      ...CREDENTIALS,
      jwt_secret_key: 'x'.repeat(40),
    },
  };
  const strategy = 'user_data/strategies/DemoStrategy.py';
  await mkdir(join(folder, 'user_data/strategies'), { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, strategy), files[strategy] ?? '');
  return folder;
}

export async function askDirectly<T>(port: number, path: string): Promise<T> {
  const basic = Buffer.from(`${CREDENTIALS.username}:${CREDENTIALS.password}`).toString('base64');
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, {
    headers: { Authorization: `Basic ${basic}` },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!response.ok) throw new Error(`${path} on port ${port}: ${response.status}`);
  return (await response.json()) as T;
}

/** Gives each bot the lowest port that no other has. */
export class PortList {
  readonly #base: number;
  readonly #ports = new Map<string, number>();

  constructor(base: number) {
    this.#base = base;
  }

  of(id: string): number {
    const known = this.#ports.get(id);
    if (known !== undefined) return known;
    const taken = new Set(this.#ports.values());
    let port = this.#base;
    while (taken.has(port)) port += 1;
    this.#ports.set(id, port);
    return port;
  }

  ids(): readonly string[] {
    return [...this.#ports.keys()];
  }

  free(id: string): void {
    this.#ports.delete(id);
  }
}
