import { existsSync } from 'node:fs';
import { describe, it } from 'vitest';

const NEEDED = {
  wordpress: '/usr/share/wordpress/wp-load.php',
  'apache2-bin': '/usr/sbin/apache2',
  'php-cli': '/usr/bin/php',
  'mariadb-server-core': '/usr/sbin/mariadbd',
  'mariadb-client': '/usr/bin/mariadb-dump',
};

const missing = Object.entries(NEEDED).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));

/** Defines the tests where Debian's packages are; else says loudly what was left out and why. */
export function withWordPress(what: string, define: () => void): void {
  if (missing.length === 0) {
    define();
    return;
  }
  const packages = `the Debian packages ${missing.join(', ')}`;
  process.stderr.write(`\n*** LEFT OUT: ${what}, for lack of ${packages}\n\n`);
  describe.skip(what, () => {
    it(`needs ${packages}`, () => {});
  });
}
