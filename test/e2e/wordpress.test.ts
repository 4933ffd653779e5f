import { createSandbox } from './support.ts';
import { proveTenSites, SITE_SETTINGS } from './ten-sites.ts';
import { withWordPress } from './with-wordpress.ts';

withWordPress('ten WordPress sites', () =>
  proveTenSites(async () => {
    const sandbox = await createSandbox({ basePort: 26_100, env: SITE_SETTINGS });
    return { sandbox, dispose: () => sandbox.dispose() };
  }),
);
