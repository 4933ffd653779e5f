import { BunkhouseError } from '../domain/errors.ts';

/** Where supervisord listens. Whoever can speak to it can do anything in the container. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'http';
      readonly host: string;
      readonly port: number;
      readonly username: string;
      readonly password: string;
    };

/** What one container's supervisord.conf says. All paths are absolute, as seen from inside the container. */
export interface SupervisordConfig {
  /** Shown by `supervisorctl`: the container's name. */
  readonly identifier: string;
  readonly endpoint: Endpoint;
  readonly pidFile: string;
  /** Null: to its standard output only, where an engine keeps it. */
  readonly logFile: string | null;
  /** It runs as root, and is meant to. */
  readonly asRoot: boolean;
  readonly plugin: {
    readonly directory: string;
    /** Uid and gid of a slot are this plus its port; null: all bots run as supervisord's own user. */
    readonly uidBase: number | null;
  };
}

/**
 * The text of supervisord.conf. No programs: bots arrive through `bunkhouse.apply`. Throws INVALID for a value that its
 * syntax cannot carry. The text may hold the password: write it 0600.
 */
export function renderConfig(config: SupervisordConfig): string {
  const sections = [
    section('supervisord', {
      identifier: config.identifier,
      nodaemon: 'true',
      pidfile: config.pidFile,
      // Or it deletes files in /tmp that look like logs of its programs.
      nocleanup: 'true',
      ...logging(config.logFile),
      ...(config.asRoot ? { user: 'root' } : {}),
    }),
    server(config.endpoint),
    section('rpcinterface:supervisor', {
      'supervisor.rpcinterface_factory': 'supervisor.rpcinterface:make_main_rpcinterface',
    }),
    section('rpcinterface:bunkhouse', {
      'supervisor.rpcinterface_factory': 'bunkhouse_plugin:make_rpcinterface',
      directory: config.plugin.directory,
      ...(config.plugin.uidBase === null ? {} : { uid_base: String(config.plugin.uidBase) }),
    }),
  ];
  return sections.join('\n');
}

function logging(logFile: string | null): Record<string, string> {
  if (logFile === null) return { logfile: '/dev/null', logfile_maxbytes: '0' };
  return { logfile: logFile, logfile_maxbytes: '1MB', logfile_backups: '3', silent: 'true' };
}

function server(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return section('unix_http_server', { file: endpoint.path, chmod: '0600' });
  return section('inet_http_server', {
    port: `${endpoint.host}:${endpoint.port}`,
    username: endpoint.username,
    password: endpoint.password,
  });
}

function section(name: string, entries: Readonly<Record<string, string>>): string {
  const lines = Object.entries(entries).map(([key, value]) => `${key} = ${escapeValue(key, value)}\n`);
  return `[${name}]\n${lines.join('')}`;
}

/** supervisord expands `%(…)s`, ends lines at line breaks and comments at ` ;` and ` #`. The value is not shown: it may be secret. */
function escapeValue(key: string, value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break or NUL would end the value
  if (/[\0-\x1f\x7f]|(?:^|\s)[;#]|^\s|\s$/.test(value)) {
    throw new BunkhouseError(
      'INVALID',
      `the value of "${key}" in supervisord.conf must not hold control characters, " ;" or " #", nor begin or end with a space: choose another`,
    );
  }
  return value.replaceAll('%', '%%');
}
