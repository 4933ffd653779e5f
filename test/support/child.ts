import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

export function isInstalled(program: string): boolean {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A program that runs until it is stopped; its output is kept for the message of a test that fails. */
export class Child {
  readonly #command: readonly [string, readonly string[], SpawnOptions];
  #process: ChildProcess | null = null;
  output = '';

  constructor(program: string, args: readonly string[], options: SpawnOptions = {}) {
    this.#command = [program, args, options];
  }

  start(): void {
    const [program, args, options] = this.#command;
    this.#process = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (data: Buffer) => {
        this.output = (this.output + data).slice(-20_000);
      });
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}
