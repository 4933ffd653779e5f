import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CliSettings, cliSettings } from '../config/cli.ts';
import { messageOf } from '../domain/errors.ts';
import { type Client, createClient } from './client.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { CliFailure } from './failure.ts';
import { createProgress, type Progress } from './progress.ts';

/** Options that every command has. */
export interface SharedOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly client: Client;
  readonly json: boolean;
  readonly settings: CliSettings;
  readonly progress: Progress;
  /** Standard output is a terminal of so many columns; 0: it is none. */
  readonly columns: number;
  readonly rows: number;
  print(text: string): void;
  /** A line for people beside the result: on standard error. */
  note(text: string): void;
  /** Ends with this code although nothing was thrown. */
  exitWith(code: ExitCode): void;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Has the first Ctrl-C do this instead of ending the program; the second ends it. Returns how to take that back. */
  onInterrupt(act: () => void): () => void;
  /** Milliseconds that never step back. */
  now(): number;
}

/** The context of one run of the real program. */
export function createContext(options: SharedOptions): Context {
  const settings = cliSettings();
  const { stdout, stderr } = process;
  const now = (): number => performance.now();
  const note = (text: string): void => {
    stderr.write(text);
  };
  return {
    client: createClient({
      url: () => options.url ?? settings.url(),
      token: () => (options.tokenFile === undefined ? defaultToken(settings) : readToken(options.tokenFile)),
    }),
    json: options.json ?? false,
    settings,
    progress: createProgress({ write: note, terminal: stderr.isTTY ? stderr.columns || 80 : 0, now }),
    columns: stdout.isTTY ? stdout.columns || 80 : 0,
    rows: stdout.rows || 24,
    print: (text) => {
      stdout.write(text);
    },
    note,
    exitWith: (code) => {
      process.exitCode = code;
    },
    sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {}),
    onInterrupt,
    now,
  };
}

/** The API's own JSON with --json, else what `render` makes of it. */
export function show<T>(
  context: Context,
  reply: { readonly json: T; readonly text: string },
  render: (json: T) => string,
): void {
  context.print(context.json ? `${reply.text}\n` : render(reply.json));
}

// Private

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function onInterrupt(act: () => void): () => void {
  const release = (): void => {
    for (const signal of INTERRUPTS) process.off(signal, first);
  };
  const first = (): void => {
    release();
    act();
  };
  for (const signal of INTERRUPTS) process.on(signal, first);
  return release;
}

/** Null when nobody made the default file yet: then the supervisor, if there is one, says what is missing. */
function defaultToken(settings: CliSettings): string | null {
  const given = settings.token();
  if (given !== null) return given;
  const file = settings.tokenFile();
  return existsSync(file) ? readToken(file) : null;
}

function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new CliFailure(EXIT.refused, `The token cannot be read: ${messageOf(cause)}.`, {
      next: 'Say where it is: --token-file FILE or BUNKHOUSE_TOKEN. Only its owner may read it.',
      cause,
    });
  }
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new CliFailure(EXIT.refused, `${file} does not hold a token.`, {
    next: 'A token is one word, as `bunkhouse tokens create` prints it.',
  });
}
