import { renderEnvTemplate, withTable } from './docs.ts';
import { renderUnit } from './systemd.ts';

/** Files of the repository that are made from the table of settings, by path. `readme` is README.md as it is. */
export function generatedFiles(readme: string): ReadonlyMap<string, string> {
  const places = { node: '/usr/bin/node', root: '/opt/bunkhouse', envFile: '/etc/bunkhouse/bunkhouse.env' };
  const files = new Map([
    ['.env.systemd.template', renderEnvTemplate('/var/lib/bunkhouse')],
    ['scripts/bunkhouse.service', renderUnit({ ...places, scope: 'system' })],
  ]);
  const table = withTable(readme);
  if (table !== null) files.set('README.md', table);
  return files;
}
