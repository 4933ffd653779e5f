import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { LABEL } from '../../lib/domain/container.ts';
import { TEST_LABEL as LEGACY_LABEL } from '../../test/fixtures/legacy/deployment.ts';

const PATIENCE_MS = 3000;
const LOOK_EVERY_MS = 100;
/** Names of containers that tests make; those of an installation in use on the same engine are none of our business. */
const TEST_CONTAINER = /^(?:test|e2e)-[0-9a-f]{8}-/;

/**
 * Ends the living processes that belong to a folder, by their environment, command line or working directory, and
 * says which they were. Those that are just ending get a moment.
 */
export async function endLeakedProcesses(folder: string): Promise<string[]> {
  const deadline = performance.now() + PATIENCE_MS;
  let pids = processesOf(folder);
  while (pids.length > 0 && performance.now() < deadline) {
    await sleep(LOOK_EVERY_MS);
    pids = processesOf(folder);
  }
  return pids.map((pid) => {
    const what = `process ${pid}: ${commandLine(pid)}`;
    end(pid);
    return what;
  });
}

/** Containers of tests, by name; empty where no engine answers. They are not removed: another run may be using them. */
export async function testContainers(): Promise<Set<string>> {
  const made = (await namesWith(LABEL.instance)).filter((name) => TEST_CONTAINER.test(name));
  return new Set([...made, ...(await namesWith(LEGACY_LABEL))]);
}

// Private

async function namesWith(label: string): Promise<string[]> {
  const args = ['ps', '--all', '--filter', `label=${label}`, '--format', '{{.Names}}'];
  const output = await promisify(execFile)('docker', args, { timeout: 60_000 }).then(
    ({ stdout }) => stdout,
    () => '',
  );
  return output.split('\n').filter((name) => name !== '');
}

function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => belongs(pid, folder));
}

function belongs(pid: number, folder: string): boolean {
  // A process that has ended, but is not reaped yet, has none of the three.
  const texts = [() => readlinkSync(`/proc/${pid}/cwd`), () => commandLine(pid), () => read(pid, 'environ')];
  return texts.some((text) => {
    try {
      return text().includes(folder);
    } catch {
      return false;
    }
  });
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

const read = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');

function commandLine(pid: number): string {
  try {
    return read(pid, 'cmdline').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
