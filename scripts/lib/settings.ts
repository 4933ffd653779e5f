import { loadConfig } from '../../lib/config/config.ts';
import { messageOf } from '../../lib/domain/errors.ts';

/** `node scripts/lib/settings.ts`: what scripts/up must know before the supervisor runs, a line each: driver, data folder, supervisord. */
try {
  const { driver, dataDir, supervisord } = loadConfig(process.env).config;
  console.log([driver, dataDir, supervisord].join('\n'));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
