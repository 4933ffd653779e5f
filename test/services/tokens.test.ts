import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hasCode } from '../../lib/domain/errors.ts';
import { createTokens } from '../../lib/services/tokens.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { silentLogger as log } from '../../lib/util/logger.ts';
import { hashToken } from '../../lib/util/token.ts';

async function setUp() {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-tokens-'));
  const path = join(folder, 'state.json');
  const store = await openFileStore({ path, clock, log });
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  return { tokens: createTokens({ store, clock }), folder };
}

describe('tokens', () => {
  it('are found by their hash, and the files hold only that', async () => {
    const { tokens, folder } = await setUp();
    const { token } = await tokens.create({ role: 'owner', owner: 'alice' });
    expect(token).toMatch(/^bh_[A-Za-z0-9_-]{43}$/);
    expect(tokens.findByHash(hashToken(token))?.actor).toEqual({ role: 'owner', owner: 'alice' });
    const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
    expect(files.join('')).toContain(hashToken(token));
    expect(files.join('')).not.toContain(token.slice(3));
  });

  it('are listed without token and hash', async () => {
    const { tokens } = await setUp();
    const made = await tokens.create({ role: 'admin' });
    expect(tokens.list()).toEqual([{ id: made.id, actor: { role: 'admin' }, createdAt: made.createdAt }]);
  });

  it('are refused once revoked, others are not', async () => {
    const { tokens } = await setUp();
    const first = await tokens.create({ role: 'admin' });
    const second = await tokens.create({ role: 'admin' });
    await tokens.revoke(first.id);
    expect(tokens.findByHash(hashToken(first.token))).toBeNull();
    expect(tokens.findByHash(hashToken(second.token))).not.toBeNull();
    await expect(tokens.revoke(first.id)).rejects.toSatisfy((error) => hasCode(error, 'NOT_FOUND'));
  });

  it('are not found under names that every object has', async () => {
    const { tokens } = await setUp();
    expect(tokens.findByHash('constructor')).toBeNull();
    expect(tokens.findByHash('__proto__')).toBeNull();
  });
});
