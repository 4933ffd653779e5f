import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { FREQTRADE_IMAGE, IMAGES, POOL_IMAGE } from '../../../lib/drivers/docker/images.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');

describe('images', () => {
  it('that templates name are built', () => {
    const templates = readdirSync(join(ROOT, 'templates')).filter((name) => name.endsWith('.yaml'));
    expect(templates).not.toEqual([]);
    for (const name of templates) {
      const { image } = parse(read('templates', name)) as { image?: string };
      if (image !== undefined) expect(IMAGES.map(({ tag }) => tag)).toContain(image);
    }
  });

  it('carry the version of what is in them', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(POOL_IMAGE.split(':')[1]).toBe(version);
    const pinned = /^freqtrade==(.+)$/m.exec(read('docker/freqtrade/requirements.txt'))?.[1];
    expect(FREQTRADE_IMAGE.split(':')[1]).toBe(pinned);
  });

  it('are built after what they are built on', () => {
    IMAGES.forEach(({ base }, index) => {
      const position = IMAGES.findIndex(({ tag }) => tag === base);
      expect(position).toBeLessThan(index);
    });
  });
});
