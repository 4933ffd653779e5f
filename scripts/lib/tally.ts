/** How many tests passed, failed and were left out. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };

export function add(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** The line that ends a run: `N passed, N failed`, with `, N skipped` where some were. */
export function closingLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** A check that is one test: lint, types. */
export function tallyOfOne(exitCode: number): Tally {
  return exitCode === 0 ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1 };
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** From vitest's JSON report; null: it wrote none. A file that could not be run is one failure. */
export function tallyOfVitest(report: string | null, exitCode: number): Tally {
  if (report === null) return atLeastOneFailure(NOTHING, exitCode);
  const found = JSON.parse(report) as VitestReport;
  const broken = found.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
  ).length;
  const tally = {
    passed: found.numPassedTests,
    failed: found.numFailedTests + broken,
    skipped: found.numPendingTests + found.numTodoTests,
  };
  return atLeastOneFailure(tally, exitCode);
}

/** From the last lines of Python's unittest: `Ran 12 tests in 3.1s`, then `OK (skipped=1)` or `FAILED (failures=1, errors=2)`. */
export function tallyOfUnittest(output: string, exitCode: number): Tally {
  const ran = Number([...output.matchAll(/^Ran (\d+) tests? in /gm)].at(-1)?.[1] ?? 0);
  const summary = [...output.matchAll(/^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$/gm)].at(-1)?.[1] ?? '';
  const count = (name: string): number => Number(new RegExp(`\\b${name}=(\\d+)`).exec(summary)?.[1] ?? 0);
  const skipped = count('skipped') + count('expected failures');
  const failed = count('failures') + count('errors') + count('unexpected successes');
  return atLeastOneFailure({ passed: Math.max(0, ran - skipped - failed), failed, skipped }, exitCode);
}

/** A run that ended badly, or in which nothing ran, is no success whatever it counted. */
function atLeastOneFailure(tally: Tally, exitCode: number): Tally {
  const bad = exitCode !== 0 || tally.passed + tally.failed + tally.skipped === 0;
  return bad && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}
