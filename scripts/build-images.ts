import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type Docker from 'dockerode';
import { messageOf } from '../lib/domain/errors.ts';
import { IMAGES, type ImageSource } from '../lib/drivers/docker/images.ts';
import { packTar } from '../lib/drivers/docker/tar.ts';
import { ensureBase } from './lib/base-image.ts';
import { followProgress, inspectImage, openEngine } from './lib/engine.ts';
import { contextFiles, inputsHash, surroundings } from './lib/image-build.ts';
import { createSteps } from './lib/steps.ts';

/** `node scripts/build-images.ts [--force]`; scripts/build-images says what it does. */

const ROOT = resolve(import.meta.dirname, '..');
/** Tells what an image was made of. */
const INPUTS = 'bunkhouse.inputs';
/** Marks what only the building needed: as large as the image, and of no use once it is built. */
const STAGE = 'bunkhouse.stage=build';
const SHOWN_LINES = 30;

const { values } = parseArgs({ options: { force: { type: 'boolean', default: false } } });
const steps = createSteps();

try {
  const engine = await openEngine(process.env);
  await ensureBase(engine, steps);
  for (const image of IMAGES) await ensureImage(engine, image);
} catch (error) {
  console.error(`build-images: ${messageOf(error)}`);
  process.exitCode = 1;
}

// Private

async function ensureImage(engine: Docker, image: ImageSource): Promise<void> {
  const files = contextFiles(resolve(ROOT, image.folder));
  const base = await inspectImage(engine, image.base);
  const inputs = inputsHash(files, base?.Id ?? '');
  const existing = await inspectImage(engine, image.tag);
  if (!values.force && existing?.Config.Labels?.[INPUTS] === inputs) return steps.line(`✓ ${image.tag} is up to date`);
  const { args, certificates } = surroundings(process.env);
  const options = {
    t: image.tag,
    buildargs: { ...args, BASE: image.base },
    labels: { [INPUTS]: inputs },
    networkmode: 'host',
    nocache: values.force,
    forcerm: true,
  };
  const context = packTar([...files, certificates]);
  await steps.run(`build ${image.tag}`, async () => build(await engine.buildImage(context as never, options)));
  if (existing !== null) await forget(engine, existing.Id);
  await engine.pruneImages({ filters: { dangling: ['true'], label: [STAGE] } });
}

/** Throws with the end of the build's output. */
async function build(progress: NodeJS.ReadableStream): Promise<void> {
  const said: string[] = [];
  try {
    await followProgress(progress, (line) => {
      said.push(line);
      steps.status(`… ${line}`);
    });
  } catch (error) {
    throw new Error(`${said.slice(-SHOWN_LINES).join('\n')}\n${messageOf(error)}`, { cause: error });
  }
}

/** The image that had the tag before; kept while containers run from it. */
async function forget(engine: Docker, id: string): Promise<void> {
  await engine
    .getImage(id)
    .remove()
    .catch(() => {});
}
