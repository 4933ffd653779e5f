import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';

/**
 * The administrator's token. A file that is not there is made with the given new token, mode 0600, whole or not at all;
 * of two that make it at the same time both get the same. Throws as `readAdminToken` does.
 */
export async function ensureAdminToken(path: string, newToken: () => string): Promise<string> {
  try {
    return await readAdminToken(path);
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
  await createOnce(path, `${newToken()}\n`).catch((error: unknown) => {
    throw invalid(`The file of the admin token ${path} cannot be made: ${messageOf(error)}. See ADMIN_TOKEN_FILE.`);
  });
  return readAdminToken(path);
}

/** The token in the file. Throws NOT_FOUND, or INVALID (with what to do) when others can read it or it holds no token. */
export async function readAdminToken(path: string): Promise<string> {
  const text = await readPrivate(path);
  const token = text.trim();
  if (/^bh_[A-Za-z0-9_-]{43}$/.test(token)) return token;
  throw invalid(`${path} holds no admin token. Remove it, and the supervisor makes a new one when it starts.`);
}

// Private

/** A hard link fails where a rename would replace. */
async function createOnce(path: string, content: string): Promise<void> {
  await mkdir(dirname(dirname(path)), { recursive: true, mode: 0o755 });
  await mkdir(dirname(path), { mode: 0o700 }).catch(unlessThere);
  const temporary = `${path}.tmp-${randomBytes(6).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
    await link(temporary, path).catch(unlessThere);
  } finally {
    await file.close();
    await rm(temporary);
  }
}

async function readPrivate(path: string): Promise<string> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) throw exposed(path);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof BunkhouseError) throw error;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new BunkhouseError(missing ? 'NOT_FOUND' : 'INVALID', `The admin token cannot be read: ${messageOf(error)}.`);
  }
}

function exposed(path: string): BunkhouseError {
  const next = `Remove the file, and the supervisor makes a new token when it starts; if you are sure nobody read it: chmod 600 ${path}`;
  return invalid(`${path} can be read by other users, so the admin token in it may be known. ${next}`);
}

function invalid(message: string): BunkhouseError {
  return new BunkhouseError('INVALID', message);
}

function unlessThere(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}
