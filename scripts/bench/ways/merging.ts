import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { REPOSITORY } from '../../../test/e2e/support.ts';

export const TEMPLATE_MERGING = 'freqtrade-merging';

/** The built-in template of FreqTrade by that other name, with `prefork.merge` switched on, and the files it names. */
export async function mergingTemplate(): Promise<Readonly<Record<string, string>>> {
  const read = (name: string): Promise<string> => readFile(join(REPOSITORY, 'templates', name), 'utf8');
  const document = parseDocument(await read('freqtrade.yaml'));
  if (!document.has('prefork'))
    throw new Error('templates/freqtrade.yaml has no prefork, so there is nothing to merge');
  document.set('name', TEMPLATE_MERGING);
  document.setIn(['prefork', 'merge'], 'on');
  const files: Record<string, string> = { 'merging.yaml': document.toString() };
  for (const key of ['preloadFrom', 'warmup']) {
    const name = document.getIn(['prefork', key]);
    if (typeof name === 'string') files[name] = await read(name);
  }
  return files;
}
