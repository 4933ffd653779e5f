import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { renderTable } from '../lib/config/docs.ts';
import { generatedFiles } from '../lib/config/generated.ts';
import { renderUnit } from '../lib/config/systemd.ts';

const USAGE = `Usage: node scripts/generate.ts [--unit system|user --settings FILE]

Writes the files that are made from the table of settings: .env.systemd.template, scripts/bunkhouse.service and the table
between the markers in README.md. With --unit it writes nothing, but prints the systemd unit of this checkout and this Node.`;

const root = resolve(import.meta.dirname, '..');
const { values } = parseArgs({
  options: { unit: { type: 'string' }, settings: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
});
const scope = values.unit;
const envFile = values.settings;

if (values.help) {
  console.log(USAGE);
} else if (scope === undefined) {
  writeAll();
} else if ((scope === 'system' || scope === 'user') && envFile !== undefined) {
  process.stdout.write(renderUnit({ scope, node: process.execPath, root, envFile: resolve(envFile) }));
} else {
  console.error(USAGE);
  process.exitCode = 2;
}

function writeAll(): void {
  const files = generatedFiles(readme());
  for (const [path, content] of files) {
    writeFileSync(join(root, path), content);
    console.log(`wrote ${path}`);
  }
  if (!files.has('README.md')) console.log(`README.md has no markers for the table of settings:\n\n${renderTable()}`);
}

function readme(): string {
  try {
    return readFileSync(join(root, 'README.md'), 'utf8');
  } catch {
    return '';
  }
}
