import { clip, duration, plain } from './text.ts';

/** One line about work that takes long: rewritten in place on a terminal, else a line each time it changes. */
export interface Progress {
  /** Rewritten in place. */
  readonly live: boolean;
  update(text: string): void;
  /** Ends the line, with `text` as what remains of it. */
  done(text: string): void;
  /** Ends the line without a trace on a terminal. */
  clear(): void;
}

export interface ProgressOptions {
  readonly write: (text: string) => void;
  /** Columns of the terminal; 0: it is none. */
  readonly terminal: number;
  /** Milliseconds. */
  readonly now: () => number;
}

const ERASE_LINE = '\r\u001b[K';

export function createProgress({ write, terminal, now }: ProgressOptions): Progress {
  let shown = '';
  let since: number | null = null;
  const elapsed = (): string => {
    since ??= now();
    return duration((now() - since) / 1000);
  };
  const finish = (text: string): void => {
    write(terminal > 0 ? `${ERASE_LINE}${text}` : text);
    shown = '';
    since = null;
  };
  return {
    live: terminal > 0,

    update(text) {
      const line = plain(text);
      if (terminal > 0) return write(ERASE_LINE + clip(`${line} … ${elapsed()}`, terminal));
      if (line !== shown) write(`${line}\n`);
      shown = line;
    },
    done: (text) => finish(`${plain(text)}\n`),
    clear: () => finish(''),
  };
}
