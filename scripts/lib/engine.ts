import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import Docker, { type ImageInspectInfo } from 'dockerode';
import { loadConfig } from '../../lib/config/config.ts';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { engineError, engineStatus } from '../../lib/drivers/docker/errors.ts';

/** The engine that the setting DOCKER_HOST names. Throws, with what to do, when it does not answer. */
export async function openEngine(env: NodeJS.ProcessEnv): Promise<Docker> {
  const engine = new Docker(engineAddress(loadConfig(env).config.dockerHost));
  await engine.ping().catch((error: unknown) => {
    throw engineError(error, 'answer');
  });
  return engine;
}

/** Null when there is no image of that name. */
export async function inspectImage(engine: Docker, image: string): Promise<ImageInspectInfo | null> {
  try {
    return await engine.getImage(image).inspect();
  } catch (error) {
    if (engineStatus(error) === 404) return null;
    throw engineError(error, `inspect the image ${image}`);
  }
}

interface Progress {
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
}

/** Reads a pull, build or import to its end, a line of text at a time. Throws what the engine says went wrong. */
export async function followProgress(stream: NodeJS.ReadableStream, onLine: (line: string) => void): Promise<void> {
  for await (const json of createInterface({ input: stream as Readable })) {
    const { stream: text, status, error } = JSON.parse(json) as Progress;
    if (error !== undefined) throw new Error(error.trim());
    for (const line of (text ?? status ?? '').split(/[\r\n]+/)) if (line.trim() !== '') onLine(line);
  }
}
