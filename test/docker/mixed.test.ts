import { FleetDriver } from '../../lib/drivers/fleet.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { driverContract } from '../contract/driver.ts';
import type { DriverHarness } from '../contract/harness.ts';
import { dockerHarness } from '../support/docker-harness.ts';
import { processHarness } from '../support/process-harness.ts';
import { withDocker } from './with-docker.ts';

/** Local processes in one location, Docker in another, as one driver. The containers of the contract are of `local`, in this one of them. */
async function mixedHarness(local: 'process' | 'docker'): Promise<DriverHarness> {
  const harnesses = { process: await processHarness(), docker: await dockerHarness() };
  const other = local === 'process' ? 'docker' : 'process';
  const open = (installation: 'same' | 'other'): FleetDriver =>
    new FleetDriver({
      endpoints: [
        { locations: ['elsewhere'], driver: harnesses[other].open(installation) },
        { locations: ['local'], driver: harnesses[local].open(installation) },
      ],
      recorded: () => ({}),
      clock,
    });
  return {
    ...harnesses[local],
    driver: open('same'),
    open,
    async dispose() {
      await Promise.all([harnesses.process.dispose(), harnesses.docker.dispose()]);
    },
  };
}

withDocker('the contract of processes and Docker as one driver', () => {
  driverContract('fleet, the process driver in it', () => mixedHarness('process'));
  driverContract('fleet, the docker driver in it', () => mixedHarness('docker'));
});
