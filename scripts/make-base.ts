import { messageOf } from '../lib/domain/errors.ts';
import { ensureBase } from './lib/base-image.ts';
import { openEngine } from './lib/engine.ts';
import { createSteps } from './lib/steps.ts';

/** `node scripts/make-base.ts`; scripts/make-base says what it does. */
try {
  await ensureBase(await openEngine(process.env), createSteps());
} catch (error) {
  console.error(`make-base: ${messageOf(error)}`);
  process.exitCode = 1;
}
