import { clip } from '../../lib/cli/text.ts';

/** Lines for people about what a script does, the same as lib/steps.sh prints. */
export interface Steps {
  /** Does the work under a title and says how long it took. Throws what the work throws. */
  run<T>(title: string, work: () => Promise<T>): Promise<T>;
  line(text: string): void;
  /** What is under way, in place below the lines; only on a terminal. Empty: nothing. */
  status(text: string): void;
}

const TICK_MS = 200;
const ERASE_LINE = '\r\u001b[K';

export function createSteps(): Steps {
  const { stdout } = process;
  const status = (text: string): void => {
    if (stdout.isTTY) stdout.write(ERASE_LINE + clip(text, stdout.columns || 80));
  };
  const line = (text: string): void => {
    stdout.write(`${stdout.isTTY ? ERASE_LINE : ''}${text}\n`);
  };
  return {
    line,
    status,
    async run(title, work) {
      const begin = performance.now();
      const ticking = setInterval(() => status(`… ${title} (${elapsed(begin)})`), TICK_MS);
      if (!stdout.isTTY) line(`… ${title}`);
      try {
        const result = await work();
        line(`✓ ${title} (${elapsed(begin)})`);
        return result;
      } catch (error) {
        line(`✗ ${title} (${elapsed(begin)})`);
        throw error;
      } finally {
        clearInterval(ticking);
      }
    },
  };
}

/** `12.3 s` since a reading of `performance.now()`. */
export const elapsed = (begin: number): string => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
