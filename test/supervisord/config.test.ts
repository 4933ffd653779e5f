import { describe, expect, it } from 'vitest';
import { hasCode } from '../../lib/domain/errors.ts';
import { renderConfig, type SupervisordConfig } from '../../lib/supervisord/config.ts';

const config: SupervisordConfig = {
  identifier: 'freqtrade-default-local-1',
  endpoint: { kind: 'unix', path: '/var/lib/bunkhouse/c/supervisor.sock' },
  pidFile: '/var/lib/bunkhouse/c/supervisord.pid',
  logFile: '/var/lib/bunkhouse/c/supervisord.log',
  asRoot: true,
  plugin: { directory: '/var/lib/bunkhouse/c', uidBase: 100_000 },
};

describe('supervisord.conf', () => {
  it('says everything supervisord and the plugin need', () => {
    expect(renderConfig(config)).toBe(`[supervisord]
identifier = freqtrade-default-local-1
nodaemon = true
pidfile = /var/lib/bunkhouse/c/supervisord.pid
nocleanup = true
logfile = /var/lib/bunkhouse/c/supervisord.log
logfile_maxbytes = 1MB
logfile_backups = 3
silent = true
user = root

[unix_http_server]
file = /var/lib/bunkhouse/c/supervisor.sock
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:bunkhouse]
supervisor.rpcinterface_factory = bunkhouse_plugin:make_rpcinterface
directory = /var/lib/bunkhouse/c
uid_base = 100000
`);
  });

  it('listens on HTTP with a password inside an engine container, and logs to standard output', () => {
    const endpoint = {
      kind: 'http',
      host: '0.0.0.0',
      port: 9001,
      username: 'bunkhouse',
      password: '50%(off)s',
    } as const;
    const text = renderConfig({ ...config, endpoint, logFile: null });
    expect(text).toContain('port = 0.0.0.0:9001\nusername = bunkhouse\npassword = 50%%(off)s\n');
    expect(text).toContain('logfile = /dev/null\nlogfile_maxbytes = 0\n');
    expect(text).not.toContain('silent');
  });

  it('names neither user nor uid base where there is one user for all', () => {
    const text = renderConfig({ ...config, asRoot: false, plugin: { ...config.plugin, uidBase: null } });
    expect(text).not.toMatch(/^(user|uid_base) =/m);
  });

  it.each(['/a\n[program:evil]', '/a ;b', '/a #b', '#a', ' /a', '/a ', '/a\0'])('refuses the path %j', (directory) => {
    let thrown: unknown;
    try {
      renderConfig({ ...config, plugin: { directory, uidBase: null } });
    } catch (error) {
      thrown = error;
    }
    expect(hasCode(thrown, 'INVALID')).toBe(true);
  });
});
