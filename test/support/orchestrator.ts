/** Run by tests as a program: makes one container with the process driver and stays, to be killed. Argument: JSON. */
import { ProcessDriver, type ProcessDriverOptions } from '../../lib/drivers/process/process-driver.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { noLimits } from '../contract/harness.ts';

const { options, record } = JSON.parse(process.argv[2] ?? '') as {
  options: Omit<ProcessDriverOptions, 'clock'>;
  record: Parameters<ProcessDriver['create']>[0]['record'];
};
const driver = new ProcessDriver({ ...options, clock });
await driver.create({ record, limits: noLimits });
process.stdout.write('created\n');
await clock.sleep(600_000);
