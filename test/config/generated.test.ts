import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../lib/config/config.ts';
import { renderEnvTemplate, renderHelp, renderTable, withTable } from '../../lib/config/docs.ts';
import { generatedFiles } from '../../lib/config/generated.ts';
import { ROWS } from '../../lib/config/settings.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = join(root, 'README.md');
const fresh = generatedFiles(existsSync(readme) ? readFileSync(readme, 'utf8') : '');

describe('generated files', () => {
  it.each([...fresh])('%s is what `npm run generate` makes of the table', (path, content) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(content);
  });

  it('are all there, README.md too', () => {
    expect([...fresh.keys()]).toContain('README.md');
  });

  it('put the table between its markers and leave the rest alone', () => {
    const before = 'a\n<!-- settings:begin -->\nold\n$1 lines\n<!-- settings:end -->\nb\n';
    const after = withTable(before);
    expect(after).toBe(`a\n<!-- settings:begin -->\n${renderTable()}\n<!-- settings:end -->\nb\n`);
    expect(withTable(after ?? '')).toBe(after);
    expect(withTable('no markers')).toBeNull();
  });

  it('name every setting', () => {
    for (const [, { key }] of ROWS) {
      expect(renderTable()).toContain(`\`${key}\``);
      expect(renderHelp()).toContain(key);
    }
  });

  it('are a template that changes nothing when each line is switched on', () => {
    const on = renderEnvTemplate('/var/lib/bunkhouse').replaceAll(/^#(?=[A-Z])/gm, '');
    const env = parseEnv(on);
    expect(Object.keys(env)).toHaveLength(ROWS.length);
    const options = { envFile: '/nonexistent', root: true };
    expect(loadConfig(env, options)).toEqual(loadConfig({}, options));
  });
});
