import { type Environment, loadConfig } from './config.ts';
import type { Config } from './settings.ts';

/** What the command line takes from the environment; each is read only when asked for, and throws INVALID then. */
export interface CliSettings {
  /** Address of the supervisor: BUNKHOUSE_URL, else where its own HOST and PORT put it. */
  url(): string;
  /** BUNKHOUSE_TOKEN: the token itself; null: not set. */
  token(): string | null;
  /** ADMIN_TOKEN_FILE. */
  tokenFile(): string;
  /** All settings of the supervisor, as it would read them here. */
  config(): Config;
}

export function cliSettings(env: Environment = process.env): CliSettings {
  const config = (): Config => loadConfig(env).config;
  return {
    url: () => env.BUNKHOUSE_URL || urlOf(config()),
    token: () => env.BUNKHOUSE_TOKEN || null,
    tokenFile: () => config().adminTokenFile,
    config,
  };
}

/** Where a supervisor with these settings is reached from this machine. */
export function urlOf({ host, port }: Pick<Config, 'host' | 'port'>): string {
  const anyAddress: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const reached = anyAddress[host] ?? host;
  return `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
}
