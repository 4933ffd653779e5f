import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { driverContract } from '../contract/driver.ts';
import type { DriverHarness } from '../contract/harness.ts';
import { botSpec, serviceSpec } from '../support/bot-spec.ts';

async function makeHarness(): Promise<DriverHarness> {
  const world = new MemoryWorld(clock);
  const open = (which: 'same' | 'other'): MemoryDriver => new MemoryDriver({ clock, world, installation: which });
  return {
    driver: open('same'),
    basePort: 22_000,
    image: null,
    fixtureSpec: botSpec,
    fixtureService: (name) => serviceSpec(name),
    killService: async (container, { name }) => world.killService(container, name),
    kill: async (_, { bot }) => world.killBot(bot),
    isAlive: async (container, { bot, pid }) => world.containers.get(container)?.bot(bot)?.observe().pid === pid,
    occupy: async (port) => {
      world.foreignPorts.add(port);
      return async () => void world.foreignPorts.delete(port);
    },
    open,
    dispose: async () => world.close(),
  };
}

driverContract('memory', makeHarness);
