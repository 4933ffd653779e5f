import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createSandbox } from './support.ts';
import { proveTenSites, SITE_SETTINGS } from './ten-sites.ts';
import { withWordPress } from './with-wordpress.ts';

const execute = promisify(execFile);

withWordPress('ten WordPress sites', () =>
  proveTenSites(async () => {
    const sandbox = await createSandbox({ basePort: 26_100, env: SITE_SETTINGS });
    return {
      sandbox,
      python: (container, program) => {
        const directory = JSON.stringify(join(sandbox.directory, 'containers', container));
        return execute('python3', ['-c', `directory = ${directory}\n${program}`]);
      },
      dispose: () => sandbox.dispose(),
    };
  }),
);
