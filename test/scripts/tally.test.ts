import { describe, expect, it } from 'vitest';
import { closingLine, tallyOfOne, tallyOfUnittest, tallyOfVitest } from '../../scripts/lib/tally.ts';

const report = (numbers: object, ...files: { status: string; assertionResults: { status: string }[] }[]): string =>
  JSON.stringify({
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: files,
    ...numbers,
  });

describe('the tally of a run', () => {
  it('is one line, with what was skipped only when something was', () => {
    expect(closingLine({ passed: 3, failed: 1, skipped: 0 })).toBe('3 passed, 1 failed');
    expect(closingLine({ passed: 3, failed: 0, skipped: 2 })).toBe('3 passed, 0 failed, 2 skipped');
  });

  it('counts a check as one', () => {
    expect(tallyOfOne(0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
    expect(tallyOfOne(2)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('of vitest counts tests, and a file that could not be run as a failure', () => {
    const text = report(
      { numPassedTests: 5, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1 },
      { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] },
      { status: 'failed', assertionResults: [] },
    );
    expect(tallyOfVitest(text, 1)).toEqual({ passed: 5, failed: 2, skipped: 3 });
  });

  it.each([
    { what: 'wrote no report', text: null, code: 0 },
    { what: 'ran nothing', text: report({}), code: 0 },
  ])('of vitest that $what is a failure', ({ text, code }) => {
    expect(tallyOfVitest(text, code)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('of vitest that ended badly although all tests passed is a failure', () => {
    expect(tallyOfVitest(report({ numPassedTests: 4 }), 1)).toEqual({ passed: 4, failed: 1, skipped: 0 });
  });

  it.each([
    { output: 'Ran 12 tests in 3.1s\n\nOK\n', code: 0, tally: [12, 0, 0] },
    { output: 'Ran 1 test in 0.1s\n\nOK (skipped=1)\n', code: 0, tally: [0, 0, 1] },
    {
      output: 'Ran 9 tests in 1s\n\nFAILED (failures=2, errors=1, skipped=1, expected failures=1)\n',
      code: 1,
      tally: [4, 3, 2],
    },
    { output: 'Ran 0 tests in 0.000s\n\nNO TESTS RAN\n', code: 5, tally: [0, 1, 0] },
    { output: 'Traceback', code: 1, tally: [0, 1, 0] },
    { output: 'Ran 5 tests in 1s\n\nOK\nthen it crashed', code: 139, tally: [5, 1, 0] },
  ])('of unittest is read from its last lines: $output', ({ output, code, tally }) => {
    const [passed, failed, skipped] = tally;
    expect(tallyOfUnittest(output, code)).toEqual({ passed, failed, skipped });
  });
});
