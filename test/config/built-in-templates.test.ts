import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadAllTemplates } from '../../lib/config/built-in-templates.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-built-in-'));
  for (const name of ['built-in', 'own']) mkdirSync(join(folder, name));
});

afterEach(() => rmSync(folder, { recursive: true }));

const WINDOW = '{ cron: "0 9 * * *", minutes: 5, target: 9 }';

function write(path: string, lease = `{ ttlSeconds: 60, reserve: { windows: [${WINDOW}] } }`): void {
  const name = /(\w+)\.yaml$/.exec(path)?.[1];
  writeFileSync(join(folder, path), `name: ${name}\ncommand: [run]\nlease: ${lease}\n`);
}

async function reserveOf(name: string): Promise<unknown> {
  const templates = await loadAllTemplates(join(folder, 'built-in'), join(folder, 'own'), ['chosen', null]);
  return templates.get(name)?.lease?.reserve;
}

describe('templates that come with Bunkhouse', () => {
  it('keep warm bots only where they are the default', async () => {
    write('built-in/chosen.yaml');
    write('built-in/other.yaml');
    expect(await reserveOf('chosen')).toMatchObject({ target: null, windows: [{ target: 9 }] });
    expect(await reserveOf('other')).toMatchObject({ target: 0, windows: [] });
  });

  it('give way to ones of the operator, which always do', async () => {
    write('built-in/other.yaml');
    write('own/other.yaml', '{ reserve: { target: 4 } }');
    expect(await reserveOf('other')).toMatchObject({ target: 4 });
  });

  it('need not be leased', async () => {
    write('built-in/other.yaml', 'null');
    expect(await reserveOf('other')).toBeUndefined();
  });
});
