import { messageOf } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';

/** What has something to make durable now and then. */
export interface Writer {
  /** Of what; for the log. */
  readonly what: string;
  /** Throws when it cannot; then it is asked again the next time. */
  write(): Promise<void>;
}

const EVERY_MS = 60_000;

/** Has them write once a minute and a last time when closed. Trouble is told when it begins and when it is over. */
export function writeRegularly(
  writers: readonly Writer[],
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): { close(): Promise<void> } {
  const abort = new AbortController();
  const troubled = new Set<Writer>();

  const turn = async (writer: Writer): Promise<void> => {
    try {
      await writer.write();
      if (troubled.delete(writer)) log.info({}, `the ${writer.what} can be written again`);
    } catch (error) {
      if (troubled.has(writer)) return;
      troubled.add(writer);
      log.error({ err: error }, `the ${writer.what} cannot be written and is tried again: ${messageOf(error)}`);
    }
  };

  const round = async (): Promise<void> => {
    for (const writer of writers) await turn(writer);
  };

  const forEver = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(EVERY_MS, abort.signal);
      const last = abort.signal.aborted;
      await round();
      if (last) return;
    }
  };

  const done = forEver();
  return {
    async close() {
      abort.abort();
      await done;
    },
  };
}
