import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { REPOSITORY } from '../../../test/e2e/support.ts';

export const TEMPLATE_MERGING = 'freqtrade-merging';

/** The built-in template of FreqTrade, by that other name, with `prefork.merge` switched on. */
export async function mergingTemplate(): Promise<string> {
  const document = parseDocument(await readFile(join(REPOSITORY, 'templates/freqtrade.yaml'), 'utf8'));
  if (!document.has('prefork'))
    throw new Error('templates/freqtrade.yaml has no prefork, so there is nothing to merge');
  document.set('name', TEMPLATE_MERGING);
  document.setIn(['prefork', 'merge'], 'on');
  return document.toString();
}
