import { describe, it } from 'vitest';
import { missingForDocker } from '../support/docker-harness.ts';

const missing = await missingForDocker();

/** Defines the tests where an engine answers and has the images; else says loudly what was left out and why. */
export function withDocker(what: string, define: () => void): void {
  if (missing === null) {
    define();
    return;
  }
  process.stderr.write(`\n*** LEFT OUT: ${what}, for lack of ${missing}\n\n`);
  describe.skip(what, () => {
    it(`needs ${missing}`, () => {});
  });
}
