import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

/** Settings under which merging is measured. The pace can be set only while no advisor sets it, and `run` comes last. */
const WHILE_MEASURING: readonly Setting[] = [
  ['advisor_mode', 'none'],
  ['pages_to_scan', '2000'],
  ['sleep_millisecs', '20'],
  ['run', '1'],
];
type Setting = readonly [name: string, value: string];

export const KSM_FOLDER = '/sys/kernel/mm/ksm';

/**
 * Has the kernel merge equal pages while something runs. Afterwards all settings are as they were, whatever happened to
 * it; also when the process is made to exit meanwhile. Throws when the kernel cannot merge, and while another run does this:
 * each would take the other's settings for those that were there before.
 */
export async function withMerging<T>(act: () => Promise<T>, folder = KSM_FOLDER): Promise<T> {
  if (!existsSync(join(folder, 'run'))) throw new Error(`this kernel cannot merge equal pages: there is no ${folder}`);
  const lock = await takeLock(folder);
  try {
    return await whileOn(act, folder);
  } finally {
    lock.close();
  }
}

/** Those of the settings that this kernel has. */
export function readSettings(folder = KSM_FOLDER): readonly Setting[] {
  const names = WHILE_MEASURING.map(([name]) => name).filter((name) => existsSync(join(folder, name)));
  return names.map((name) => [name, chosen(readFileSync(join(folder, name), 'utf8').trim())]);
}

// Private

async function whileOn<T>(act: () => Promise<T>, folder: string): Promise<T> {
  const before = readSettings(folder).toReversed();
  const restore = (): void => writeSettings(folder, before);
  process.once('exit', restore);
  try {
    writeSettings(folder, WHILE_MEASURING);
    return await act();
  } finally {
    process.off('exit', restore);
    restore();
  }
}

/** A socket without a file: it is gone with its process. */
function takeLock(folder: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const lock = createServer();
    lock.once('error', (cause) => reject(new Error('another run has the merging of equal pages', { cause })));
    lock.listen(`\0bunkhouse-merging ${folder}`, () => resolve(lock));
  });
}

/** `[none] scan-time` means none. */
function chosen(text: string): string {
  return /\[(.+)\]/.exec(text)?.[1] ?? text;
}

/** Each is tried, whatever becomes of the others. Throws the first failure. */
function writeSettings(folder: string, settings: readonly Setting[]): void {
  const failures = settings.flatMap(([name, value]) => {
    try {
      if (existsSync(join(folder, name))) writeFileSync(join(folder, name), value);
      return [];
    } catch (cause) {
      return [new Error(`${join(folder, name)} could not be set to ${value}`, { cause })];
    }
  });
  if (failures[0] !== undefined) throw failures[0];
}
