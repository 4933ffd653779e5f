import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderUnit, type UnitPlaces } from '../../lib/config/systemd.ts';

const root = resolve(import.meta.dirname, '../..');
const canVerify = spawnSync('systemd-analyze', ['--version']).status === 0;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-systemd-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('systemd unit', () => {
  /** What systemd-analyze has to say about the unit. */
  function verify(places: UnitPlaces): string {
    const unit = join(folder, 'bunkhouse.service');
    writeFileSync(unit, renderUnit(places));
    const { stderr } = spawnSync('systemd-analyze', ['verify', ...(places.scope === 'user' ? ['--user'] : []), unit], {
      env: { PATH: process.env.PATH, HOME: folder, XDG_RUNTIME_DIR: folder },
      encoding: 'utf8',
    });
    return (
      stderr
        .split('\n')
        .filter((line) => line.includes('bunkhouse.service'))
        // Before systemd 254, which says so and goes on.
        .filter((line) => !/Unknown key (name )?'DelegateSubgroup'/.test(line))
        .join('\n')
    );
  }

  it.skipIf(!canVerify).each(['system', 'user'] as const)('is valid for systemd: %s', (scope) => {
    expect(verify({ scope, node: process.execPath, root, envFile: '/nonexistent/b.env' })).toBe('');
  });

  it.skipIf(!canVerify)('is valid in folders with unusual names', () => {
    const odd = join(folder, 'a "b" %n $HOME\\x');
    const bin = join(folder, 'a b %n $HOME');
    for (const name of [odd, bin]) mkdirSync(name);
    const node = join(bin, 'node');
    writeFileSync(node, '#!/bin/sh\n');
    chmodSync(node, 0o755);
    expect(verify({ scope: 'system', node, root: odd, envFile: join(odd, 'b.env') })).toBe('');
  });

  it.skipIf(!canVerify)('would be found invalid if it were', () => {
    expect(verify({ scope: 'system', node: '/nonexistent/node', root, envFile: '/b.env' })).toContain(
      '/nonexistent/node',
    );
  });

  it('lets bots outlive the supervisor and only the main process speak for it', () => {
    const unit = renderUnit({ scope: 'system', node: '/n', root: '/r', envFile: '/e' });
    for (const line of [
      'Type=notify',
      'KillMode=process',
      'OOMPolicy=continue',
      'NotifyAccess=main',
      'DelegateSubgroup=supervisor',
      'Restart=always',
    ]) {
      expect(unit.split('\n')).toContain(line);
    }
    expect(unit).not.toMatch(/^(PrivateTmp|PrivateUsers|DynamicUser)=/m);
  });
});

describe('scripts/install-systemd', () => {
  const unit = () => join(folder, '.config/systemd/user/bunkhouse.service');
  const settings = () => join(folder, '.config/bunkhouse/bunkhouse.env');

  /** Runs it as a user whose systemd does not run. */
  function install(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: folder, XDG_RUNTIME_DIR: folder };
    return spawnSync(join(root, 'scripts/install-systemd'), args, { env, encoding: 'utf8' });
  }

  it('says how it is used', () => {
    expect(install('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--dry-run') });
    expect(install('--frobnicate')).toMatchObject({ status: 2, stderr: expect.stringContaining('--frobnicate') });
  });

  it('changes nothing in a dry run', () => {
    const { status, stdout } = install('--user', '--dry-run');
    expect(status).toBe(0);
    expect(stdout).toContain(`would write ${unit()}`);
    expect(existsSync(join(folder, '.config'))).toBe(false);
  });

  it('writes the unit and, for its user alone, the settings', () => {
    const { status, stdout } = install('--user');
    expect({ status, stdout }).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('systemd does not run here'),
    });
    expect(readFileSync(unit(), 'utf8')).toContain(`ExecStart=${process.execPath} ${root}/lib/main.ts\n`);
    expect(readFileSync(unit(), 'utf8')).toContain(`EnvironmentFile=-${settings()}\n`);
    expect(readFileSync(settings(), 'utf8')).toContain(`#DATA_DIR=${folder}/.local/state/bunkhouse\n`);
    expect(statSync(settings()).mode & 0o777).toBe(0o600);
  });

  it('keeps the settings and brings the unit up to date when it is run again', () => {
    install('--user');
    expect(install('--user').stdout).toContain(`${unit()} is up to date`);
    writeFileSync(settings(), 'PORT=5000\n');
    writeFileSync(unit(), 'old');
    expect(install('--user').stdout).toContain(`${settings()} is kept`);
    expect(readFileSync(settings(), 'utf8')).toBe('PORT=5000\n');
    expect(readFileSync(unit(), 'utf8')).toContain('[Service]');
  });

  it('is free of errors in the eyes of bash', () => {
    execFileSync('bash', ['-n', join(root, 'scripts/install-systemd')]);
  });
});
