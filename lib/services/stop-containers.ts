import { messageOf } from '../domain/errors.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Logger } from '../util/logger.ts';

/** Stops all that run, bots gracefully first. One that cannot be stopped keeps the others from nothing. */
export async function stopContainers(driver: Driver, graceSeconds: number, log: Logger): Promise<void> {
  const running = (await driver.list()).filter((container) => container.status === 'running');
  log.info({ containers: running.length }, 'stopping all containers (STOP_ON_EXIT)');
  await Promise.all(running.map(({ name }) => stop(driver, name, graceSeconds, log)));
}

async function stop(driver: Driver, name: string, graceSeconds: number, log: Logger): Promise<void> {
  try {
    await driver.stop(name, graceSeconds);
  } catch (error) {
    const facts = { container: name, reason: messageOf(error) };
    log.error(facts, 'a container could not be stopped; its bots may still run');
  }
}
