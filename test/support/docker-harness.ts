import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import Docker from 'dockerode';
import { LABEL } from '../../lib/domain/container.ts';
import { messageOf } from '../../lib/domain/errors.ts';
import type { State } from '../../lib/domain/state.ts';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { DockerDriver } from '../../lib/drivers/docker/docker-driver.ts';
import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { type DriverHarness, PORTS } from '../contract/harness.ts';
import { botSpec, SOCKET, serviceSpec } from './bot-spec.ts';
import { freePorts, occupyPort } from './ports.ts';

export const DOCKER_HOST = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
const FIXTURE_BOTS = resolve(import.meta.dirname, '../fixtures/bots');
const FIXTURE_SERVICES = resolve(import.meta.dirname, '../fixtures/services');

export interface DockerHarness extends DriverHarness {
  readonly driver: DockerDriver;
  /** The engine itself, to look at what the driver made. */
  readonly engine: Docker;
  readonly installation: string;
  open(which: 'same' | 'other', dockerHost?: string, startMs?: number): DockerDriver;
  /** Runs Python in a container as root; null when the container does not run. Throws when the program fails. */
  python(container: string, program: string): Promise<string | null>;
}

/** What the tests with a real engine lack on this machine; null: nothing. */
export async function missingForDocker(): Promise<string | null> {
  try {
    await new Docker(engineAddress(DOCKER_HOST)).getImage(POOL_IMAGE).inspect();
    return null;
  } catch (error) {
    const noImage = error instanceof Error && 'statusCode' in error && error.statusCode === 404;
    if (noImage) return `the image ${POOL_IMAGE}: run scripts/build-images`;
    return `a Docker engine at ${DOCKER_HOST} (${messageOf(error)}): start Docker, or set DOCKER_HOST`;
  }
}

/** A docker driver with an installation of its own, so that everything it makes is found by its label again. */
export async function dockerHarness(): Promise<DockerHarness> {
  const engine = new Docker(engineAddress(DOCKER_HOST));
  const id = randomBytes(4).toString('hex');
  const installationOf = (which: 'same' | 'other'): string => `test-${id}-${which}`;
  const opened: DockerDriver[] = [];
  const open = (which: 'same' | 'other', dockerHost = DOCKER_HOST, startMs = 30_000): DockerDriver => {
    const driver = new DockerDriver({
      installation: installationOf(which),
      dockerHost,
      clock,
      log: silentLogger,
      startMs,
    });
    opened.push(driver);
    return driver;
  };
  const python = (container: string, program: string): Promise<string | null> => execPython(engine, container, program);
  return {
    driver: open('same'),
    engine,
    installation: installationOf('same'),
    basePort: await freePorts(23_000, 23_999, PORTS),
    image: POOL_IMAGE,
    fixtureSpec: (bot, overrides) => ({
      ...botSpec(bot, {
        host: '0.0.0.0',
        command: ['python3', 'server.py'],
        env: { PORT: String(overrides.port), HOST: '0.0.0.0' },
        ...overrides,
        files: [fixtureFile('server.py'), ...(overrides.files ?? [])],
      }),
    }),
    fixtureService: (name, directory) => {
      const socket = `${directory}/run/services/${name}/s`;
      const command = ['python3', '-u', 'keeper.py', '--dir', '.', '--socket', socket];
      const files = [fixtureFile('keeper.py', FIXTURE_SERVICES)];
      return serviceSpec(name, { command, files, readiness: { ...SOCKET, path: socket } });
    },
    killService: async (container, { pid }) => void (await python(container, `import os; os.kill(${pid}, 9)`)),
    kill: async (container, { pid }) => void (await python(container, `import os; os.kill(${pid}, 9)`)),
    isAlive: async (container, { pid }) => {
      const lives = `print(open('/proc/${pid}/stat').read().rpartition(')')[2].split()[0] not in 'ZX')`;
      return (await python(container, `try: ${lives}\nexcept FileNotFoundError: pass`))?.trim() === 'True';
    },
    occupy: occupyPort,
    open,
    python,
    async dispose() {
      for (const driver of opened) await driver.close();
      for (const which of ['same', 'other'] as const) await removeAllOf(engine, installationOf(which));
    },
  };
}

/** A fixture bot as a file of a bot's own directory. */
export function fixtureFile(
  name: string,
  folder = FIXTURE_BOTS,
): { path: string; mode: number; when: 'always'; data: string } {
  return { path: name, mode: 0o600, when: 'always', data: readFileSync(join(folder, name)).toString('base64') };
}

/** Runs Python in a container as root; null when the container does not run. Throws when the program fails. */
export async function execPython(engine: Docker, container: string, program: string): Promise<string | null> {
  const { State } = await engine.getContainer(container).inspect();
  if (!State.Running) return null;
  const exec = await engine
    .getContainer(container)
    .exec({ Cmd: ['python3', '-c', program], AttachStdout: true, AttachStderr: true, Tty: true });
  const stream = await exec.start({ Tty: true });
  let output = '';
  for await (const chunk of stream) output += String(chunk);
  const { ExitCode } = await exec.inspect();
  if (ExitCode !== 0) throw new Error(`python in ${container} ended with ${ExitCode}: ${output}`);
  return output;
}

/** Containers, volumes and networks that carry the installation's label. */
export async function removeAllOf(engine: Docker, installation: string): Promise<void> {
  const filters = { label: [`${LABEL.instance}=${installation}`] };
  for (const { Id } of await engine.listContainers({ all: true, filters })) {
    await engine.getContainer(Id).remove({ force: true, v: true });
  }
  const { Volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) as never });
  for (const { Name } of Volumes) await engine.getVolume(Name).remove();
  for (const { Id } of await engine.listNetworks({ filters })) await engine.getNetwork(Id).remove();
}

/** Where `host.docker.internal` leads: the host on the default bridge. Engines that name no gateway take the first address. */
export async function bridgeGateway(engine: Docker): Promise<string> {
  const network = (await engine.getNetwork('bridge').inspect()) as Docker.NetworkInspectInfo;
  const { Gateway, Subnet } = network.IPAM?.Config?.[0] ?? {};
  const address = Gateway ?? Subnet?.replace(/\.0\/\d+$/, '.1');
  if (address === undefined) throw new Error('the network "bridge" has no addresses');
  return address;
}

/** Which installation keeps its data there; null when the orchestrator never came so far. */
export async function installationOf(dataDir: string): Promise<string | null> {
  const state = await readFile(join(dataDir, 'state/state.json'), 'utf8').catch(() => null);
  return state === null ? null : (JSON.parse(state) as State).installation;
}
