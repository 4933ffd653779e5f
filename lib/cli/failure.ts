import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';

/** RFC 9457 problem document, as far as the command line reads it. */
export interface Problem {
  readonly detail: string;
  readonly code: string;
}

export interface FailureOptions {
  /** What to do next, one sentence. */
  readonly next?: string;
  /** Stable code of the API's problem document. */
  readonly code?: string;
  /** The problem document as it came, for --json. */
  readonly document?: string;
  readonly cause?: unknown;
}

/** The only error a command ends with on purpose: a sentence for people and an exit code for programs. */
export class CliFailure extends Error {
  readonly exitCode: ExitCode;
  readonly next: string | undefined;
  readonly code: string | undefined;
  readonly document: string | undefined;

  constructor(exitCode: ExitCode, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
    this.next = options.next;
    this.code = options.code;
    this.document = options.document;
  }
}

const NEXT: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'Give the token with --token-file FILE or in BUNKHOUSE_TOKEN; the supervisor prints where its own is.',
  FORBIDDEN: "Use the administrator's token: --token-file FILE.",
  POOL_EXHAUSTED: 'See what fills the pool: bunkhouse status.',
  DRIVER_UNAVAILABLE: 'See what is wrong with this machine: bunkhouse doctor.',
  BOT_UNAVAILABLE: 'See why: bunkhouse bots show ID.',
  INTERNAL: "Look into the supervisor's log.",
};

/** The failure for an answer of the API that is a problem. `document` is the body as it came. */
export function failureOf(problem: Problem, document: string): CliFailure {
  const next = NEXT[problem.code];
  return new CliFailure(exitCodeOf(problem.code), problem.detail, {
    code: problem.code,
    document,
    ...(next === undefined ? {} : { next }),
  });
}

/** Lines for people: what is wrong, its code, what to do next. Never a stack trace. */
export function describeFailure(failure: CliFailure): string {
  const code = failure.code === undefined ? '' : ` (${failure.code})`;
  const next = failure.next === undefined ? '' : `\n  ${failure.next}`;
  return `bunkhouse: ${failure.message}${code}${next}\n`;
}

export const usageFailure = (message: string, next?: string): CliFailure =>
  new CliFailure(EXIT.usage, message, next === undefined ? {} : { next });
