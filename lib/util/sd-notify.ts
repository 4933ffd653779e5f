import { spawn } from 'node:child_process';
import { messageOf } from '../domain/errors.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface ServiceManagerOptions {
  /** NOTIFY_SOCKET: a path, or a name of Linux' abstract namespace that begins with `@`. Without it nothing is sent. */
  readonly socket: string | undefined;
  /** WATCHDOG_USEC: microseconds without a ping after which the service manager ends this process. */
  readonly watchdogUsec: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether all loops of this process are alive; asked before each ping. */
  readonly healthy: () => boolean;
}

/** The service manager (systemd) that started this process. No method throws. */
export interface ServiceManager {
  /** Says that the service is up, and pings from then on. */
  ready(status: string): Promise<void>;
  /** One line for `systemctl status`. */
  status(text: string): Promise<void>;
  /** Says that the service is about to end. Pings go on meanwhile. */
  stopping(): Promise<void>;
  close(): void;
}

/**
 * Speaks sd_notify through the program systemd-notify: Node has no datagram sockets of the Unix kind, and systemd-notify is
 * there wherever systemd is. It speaks in its parent's name when it may (as root), so `NotifyAccess=main` is enough
 * there, and it ends only when its message has been taken up, so none is lost for the sender having gone.
 */
export function serviceManager(options: ServiceManagerOptions): ServiceManager {
  const { socket, clock, log, healthy } = options;
  if (socket === undefined || socket === '') return NOBODY;
  const send = (...assignments: string[]): Promise<void> =>
    notify(socket, assignments).catch((error: unknown) => {
      log.warn({ error: messageOf(error) }, 'the service manager could not be told; is systemd-notify installed?');
    });
  const everyMs = Number(options.watchdogUsec ?? 0) / 1000 / 3;
  let cancel = (): void => {};

  const ping = async (): Promise<void> => {
    if (isHealthy(healthy)) await send('WATCHDOG=1');
    else log.error({}, 'a loop of the supervisor hangs: no ping to the watchdog, which will start it anew');
  };
  const pingAgain = (): void => {
    cancel = clock.after(everyMs, () => {
      pingAgain();
      void ping();
    });
  };

  return {
    async ready(status) {
      await send('READY=1', `STATUS=${oneLine(status)}`);
      cancel();
      if (everyMs > 0) pingAgain();
    },
    status: (text) => send(`STATUS=${oneLine(text)}`),
    stopping: () => send('STOPPING=1'),
    close: () => cancel(),
  };
}

// Private

const NOBODY: ServiceManager = {
  ready: async () => {},
  status: async () => {},
  stopping: async () => {},
  close: () => {},
};

const PATH = '/usr/bin:/bin:/run/current-system/sw/bin';
const LONGEST_MS = 10_000;

function notify(socket: string, assignments: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('systemd-notify', ['--', ...assignments], {
      env: { NOTIFY_SOCKET: socket, PATH },
      stdio: 'ignore',
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`systemd-notify ended with ${code ?? signal}`));
    });
  });
}

function isHealthy(healthy: () => boolean): boolean {
  try {
    return healthy();
  } catch {
    return false;
  }
}

/** A message is lines of NAME=value. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
