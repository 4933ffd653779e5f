import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureAdminToken, readAdminToken } from '../../lib/config/admin-token.ts';
import { newToken } from '../../lib/util/token.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-token-'));
  path = join(folder, 'state/admin-token');
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('admin token', () => {
  it('is made once, random, for its user alone', async () => {
    const token = await ensureAdminToken(path, newToken);
    expect(token).toMatch(/^bh_[A-Za-z0-9_-]{43}$/);
    expect(readFileSync(path, 'utf8')).toBe(`${token}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'state')).mode & 0o777).toBe(0o700);
    expect(await ensureAdminToken(path, newToken)).toBe(token);
    expect(readdirSync(join(folder, 'state'))).toEqual(['admin-token']);
  });

  it('is one for all who make it at the same time', async () => {
    const tokens = await Promise.all(Array.from({ length: 20 }, () => ensureAdminToken(path, newToken)));
    expect(new Set(tokens).size).toBe(1);
    expect(readdirSync(join(folder, 'state'))).toEqual(['admin-token']);
  });

  it.each([0o640, 0o604, 0o644])('is refused when others can read it: %o', async (mode) => {
    const token = await ensureAdminToken(path, newToken);
    chmodSync(path, mode);
    const error = await ensureAdminToken(path, newToken).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'INVALID', message: expect.stringMatching(/Remove the file.*chmod 600/) });
    expect(String(error)).not.toContain(token);
  });

  it.each(['', 'secret', 'bh_short'])('is refused, and not replaced, when the file holds none: %j', async (content) => {
    await ensureAdminToken(path, newToken);
    writeFileSync(path, content);
    await expect(ensureAdminToken(path, newToken)).rejects.toMatchObject({ code: 'INVALID' });
    expect(readFileSync(path, 'utf8')).toBe(content);
  });

  it('says so when the file cannot be made', async () => {
    writeFileSync(join(folder, 'state'), 'a file, not a folder');
    await expect(ensureAdminToken(path, newToken)).rejects.toMatchObject({ code: 'INVALID' });
  });

  it('that is only read is not made', async () => {
    await expect(readAdminToken(path)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(readdirSync(folder)).toEqual([]);
  });
});
