/** Exit codes of the command line; part of its interface, so never renumbered. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  conflict: 5,
  unavailable: 6,
  timedOut: 7,
  partly: 8,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_CODE: Readonly<Record<string, ExitCode>> = {
  INVALID: EXIT.usage,
  TOO_LARGE: EXIT.usage,
  UNKNOWN_LOCATION: EXIT.usage,
  NOT_FOUND: EXIT.notFound,
  UNAUTHORIZED: EXIT.refused,
  FORBIDDEN: EXIT.refused,
  CONFLICT: EXIT.conflict,
  PORT_IN_USE: EXIT.conflict,
  STALE_GENERATION: EXIT.conflict,
  RATE_LIMITED: EXIT.unavailable,
  POOL_EXHAUSTED: EXIT.unavailable,
  BOT_UNAVAILABLE: EXIT.unavailable,
  DRIVER_UNAVAILABLE: EXIT.unavailable,
  AGENT_UNAVAILABLE: EXIT.unavailable,
  STORE_UNAVAILABLE: EXIT.unavailable,
  STORE_CORRUPT: EXIT.unavailable,
  DEADLINE: EXIT.timedOut,
};

/** The exit code for an error code of the API; what nobody can act on is `failed`. */
export function exitCodeOf(code: string): ExitCode {
  return Object.hasOwn(BY_CODE, code) ? (BY_CODE[code] ?? EXIT.failed) : EXIT.failed;
}

export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  failed: an error inside, or something this supervisor cannot do
  2  usage: wrong arguments or input
  3  not found: no such bot, token or file
  4  refused: no token, a wrong one, or not yours to do
  5  conflict: the id is taken, or a change that came too late
  6  unavailable: nobody answers there, or not now; try again later
  7  timed out while waiting
  8  done in part: some of what was asked for went well, some did not`;
