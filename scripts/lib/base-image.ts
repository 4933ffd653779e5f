import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { messageOf } from '../../lib/domain/errors.ts';
import { BASE_IMAGE } from '../../lib/drivers/docker/images.ts';
import { followProgress, inspectImage } from './engine.ts';
import type { Steps } from './steps.ts';

/** What the pool image would install on a base that was pulled. */
const PACKAGES = ['ca-certificates', 'python3', 'python3-venv'];
/** What Debian's own slim images leave out. */
const LEFT_OUT = ['doc', 'groff', 'info', 'linda', 'lintian', 'locale', 'man'].map((name) => `/usr/share/${name}/*`);

/** Makes sure the engine has the base image: there already, pulled, or made here from Debian's packages. */
export async function ensureBase(engine: Docker, steps: Steps): Promise<void> {
  if ((await inspectImage(engine, BASE_IMAGE)) !== null) return steps.line(`✓ ${BASE_IMAGE} is there`);
  try {
    await steps.run(`pull ${BASE_IMAGE}`, async () => {
      await followProgress(await engine.pull(BASE_IMAGE), steps.status);
    });
  } catch (error) {
    steps.line(
      `  It cannot be pulled here (${messageOf(error).trim()}), so an equal one is made of Debian's packages.`,
    );
    await steps.run(`make ${BASE_IMAGE} with mmdebstrap`, () => makeBase(engine));
  }
}

// Private

async function makeBase(engine: Docker): Promise<void> {
  const [repo = '', tag = ''] = BASE_IMAGE.split(':');
  const suite = tag.replace(/-slim$/, '');
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-base-'));
  try {
    // By way of a file: the engine would take an archive that breaks off for a whole one.
    const file = join(folder, 'base.tar');
    await mmdebstrap(suite, file);
    await followProgress(await engine.importImage(createReadStream(file), { repo, tag }), () => {});
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function mmdebstrap(suite: string, file: string): Promise<void> {
  const options = LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`);
  const args = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, ...options, suite, file];
  return new Promise((resolve, reject) => {
    const child = spawn('mmdebstrap', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const missing =
        'there is no mmdebstrap: install the Debian package mmdebstrap, or load the image with docker load';
      reject(cause.code === 'ENOENT' ? new Error(missing, { cause }) : cause);
    });
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`mmdebstrap failed:\n${said.trim()}`))));
  });
}
