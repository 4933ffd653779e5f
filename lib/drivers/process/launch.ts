import { type ChildProcess, spawn } from 'node:child_process';
import { open, rm } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import { SupervisordAgent } from '../../supervisord/client.ts';
import type { Clock } from '../../util/clock.ts';
import type { Layout } from './layout.ts';
import { supervisordArguments } from './members.ts';

export interface Launch {
  /** Path of supervisord's executable. */
  readonly supervisord: string;
  /** PYTHONPATH: where the plugin's package is. */
  readonly pluginDir: string;
  /** PATH that bots inherit. */
  readonly path: string;
  readonly layout: Layout;
}

const LOOK_EVERY_MS = 50;
const TAIL_BYTES = 4096;

/**
 * Starts supervisord in a session of its own, so that neither the end of this process nor a Ctrl-C at its terminal
 * reaches it. Nothing of our environment goes along: it may hold tokens.
 */
export async function launch({ supervisord, pluginDir, path, layout }: Launch): Promise<ChildProcess> {
  await Promise.all([layout.socket, layout.pidFile].map((left) => rm(left, { force: true })));
  const output = await open(layout.output, 'w', 0o600);
  // supervisord would make it readable by all.
  await (await open(layout.log, 'a', 0o600)).close();
  try {
    const child = spawn(supervisord, supervisordArguments(layout), {
      cwd: layout.directory,
      env: { PATH: path, PYTHONPATH: pluginDir, PYTHONNOUSERSITE: '1', LANG: 'C.UTF-8' },
      stdio: ['ignore', output.fd, output.fd],
      detached: true,
    });
    child.unref();
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(notStarted(supervisord, error)));
    });
    takeNoPrecedence(child);
    return child;
  } finally {
    await output.close();
  }
}

/** Resolves once the plugin answers. Throws AGENT_UNAVAILABLE, with the end of supervisord's log, when it does not within `ms`. */
export async function untilAnswering(child: ChildProcess, layout: Layout, clock: Clock, ms: number): Promise<void> {
  const deadline = clock.monotonic() + ms;
  const agent = new SupervisordAgent({ kind: 'unix', path: layout.socket });
  try {
    for (;;) {
      const failure = await agent.observe().then(() => null, messageOf);
      if (failure === null) return;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw await notAnswering(
          layout,
          `supervisord ended at once (${child.signalCode ?? `exit code ${child.exitCode}`})`,
        );
      }
      if (clock.monotonic() > deadline) throw await notAnswering(layout, `no answer within ${ms} ms: ${failure}`);
      await clock.sleep(LOOK_EVERY_MS);
    }
  } finally {
    await agent.close();
  }
}

/** Ours is not for supervisord and its bots to inherit. It has no bots yet. */
function takeNoPrecedence({ pid = 0 }: ChildProcess): void {
  try {
    if (getPriority(pid) < 0) setPriority(pid, 0);
  } catch {
    // It has ended, which shows below; or ours was given to us, without the right to give it back.
  }
}

function notStarted(supervisord: string, error: Error): BunkhouseError {
  const message = `${supervisord} cannot be started: ${messageOf(error)}. Install supervisor 4.3 into a Python venv and set SUPERVISORD`;
  return new BunkhouseError('DRIVER_UNAVAILABLE', message, { cause: error });
}

async function notAnswering(layout: Layout, what: string): Promise<BunkhouseError> {
  const said = (await tail(layout.output)) + (await tail(layout.log));
  return new BunkhouseError(
    'AGENT_UNAVAILABLE',
    `${what}. The end of its log in ${layout.directory}:\n${said.trim() || '(empty)'}`,
  );
}

async function tail(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return '';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(TAIL_BYTES),
      0,
      TAIL_BYTES,
      Math.max(0, size - TAIL_BYTES),
    );
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
