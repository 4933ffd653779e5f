import { driverContract } from '../contract/driver.ts';
import { dockerHarness } from '../support/docker-harness.ts';
import { withDocker } from './with-docker.ts';

withDocker('the contract of the docker driver', () => driverContract('docker', dockerHarness));
