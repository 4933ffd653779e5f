import { describe, it, vi } from 'vitest';
import { driverContract } from '../../contract/driver.ts';
import { missingForProcesses, processHarness } from '../../support/process-harness.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const missing = missingForProcesses();
if (missing === null) driverContract('process', processHarness);
else {
  process.stderr.write(`\n*** LEFT OUT: the contract of the process driver, for lack of ${missing}\n\n`);
  describe.skip('process driver keeps the contract', () => {
    it(`needs ${missing}`, () => {});
  });
}
