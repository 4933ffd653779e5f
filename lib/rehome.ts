import { join } from 'node:path';
import pino from 'pino';
import { cliSettings } from './config/cli.ts';
import type { Config } from './config/settings.ts';
import { BunkhouseError, messageOf } from './domain/errors.ts';
import { type OpenedStore, openStore } from './store/open.ts';
import { systemClock as clock } from './util/clock.ts';

/** `bunkhouse state rehome`: the state forgets where its containers are; the next supervisor notes where it has them. */
async function rehome(config: Config): Promise<void> {
  const { promise: led, reject } = Promise.withResolvers<never>();
  const opening = openStore(config.stateUrl, {
    clock,
    log: pino({ level: 'error', base: null }),
    home: '',
    folder: join(config.dataDir, 'state'),
    onStandby: (leader) => reject(new BunkhouseError('CONFLICT', `${leader} leads; stop it and its standbys first`)),
  });
  const { store }: OpenedStore = await Promise.race([opening, led]);
  const { bots, containers } = store.current();
  await store.close();
  const has = `${bots.size} bots in ${Object.keys(containers).length} containers`;
  process.stdout.write(`The state (${has}) has forgotten where they are: the next start makes what it does not see.\n`);
}

if (import.meta.main) {
  rehome(cliSettings().config()).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`bunkhouse: ${messageOf(error)}\n`);
      process.exit(error instanceof BunkhouseError && error.code === 'CONFLICT' ? 5 : 1);
    },
  );
}
