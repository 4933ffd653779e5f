import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Something a test left behind. */
export interface Leak {
  readonly what: string;
  end(): Promise<void>;
}

const PATIENCE_MS = 3000;
const LOOK_EVERY_MS = 100;
const LABEL = 'bunkhouse.instance';

/** Living processes that belong to a folder: by their environment, command line or working directory. Waits a moment for those just ending. */
export async function leakedProcesses(folder: string): Promise<Leak[]> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const pids = processesOf(folder);
    if (pids.length === 0 || performance.now() > deadline) return pids.map(processLeak);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Containers with a label of ours, by id. Empty where no engine answers. */
export async function containers(): Promise<Set<string>> {
  const args = ['ps', '--all', '--quiet', '--no-trunc', '--filter', `label=${LABEL}`];
  const output = await docker(args).catch(() => '');
  return new Set(output.split('\n').filter((id) => id !== ''));
}

/** Containers that were not there before. */
export async function leakedContainers(before: ReadonlySet<string>): Promise<Leak[]> {
  return [...(await containers())]
    .filter((id) => !before.has(id))
    .map((id) => ({
      what: `container ${id.slice(0, 12)}`,
      end: async () => {
        await docker(['rm', '--force', '--volumes', id]);
      },
    }));
}

// Private

const docker = async (args: readonly string[]): Promise<string> =>
  (await promisify(execFile)('docker', args, { timeout: 60_000 })).stdout;

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

function processLeak(pid: number): Leak {
  return {
    what: `process ${pid}: ${commandLine(pid)}`,
    end: async () => {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    },
  };
}

const read = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');

function commandLine(pid: number): string {
  try {
    return read(pid, 'cmdline').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
