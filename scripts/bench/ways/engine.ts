import Docker, { type ContainerInspectInfo } from 'dockerode';
import { engineAddress } from '../../../lib/drivers/docker/address.ts';
import { engineStatus } from '../../../lib/drivers/docker/errors.ts';
import { FREQTRADE_IMAGE } from '../../../lib/drivers/docker/images.ts';
import { DOCKER_HOST } from '../../../test/support/docker-harness.ts';
import { commandLine, listProcesses, readProcess } from '../../lib/host-processes.ts';

/** A container's first process, and what the engine runs beside each container, with the host's pids. */
export interface ContainerProcesses {
  readonly main: number;
  /** Its shim, and a docker-proxy for each of its ports. */
  readonly helpers: readonly number[];
}

/** An engine that has the image of FreqTrade; null when there is none. */
export async function findEngine(): Promise<Docker | null> {
  try {
    const engine = new Docker(engineAddress(DOCKER_HOST));
    await engine.getImage(FREQTRADE_IMAGE).inspect();
    return engine;
  } catch {
    return null;
  }
}

/** Of those containers that run now. */
export async function containerProcesses(
  engine: Docker,
  names: readonly string[],
): Promise<ReadonlyMap<string, ContainerProcesses>> {
  const proxies = proxiesByPort();
  const found = await Promise.all(names.map(async (name) => [name, await inspect(engine, name)] as const));
  return new Map(
    found.flatMap(([name, info]) => {
      const main = info?.State.Pid ?? 0;
      const shim = readProcess(main)?.parent;
      if (info === null || shim === undefined) return [];
      return [[name, { main, helpers: [shim, ...hostPorts(info).flatMap((port) => proxies.get(port) ?? [])] }]];
    }),
  );
}

// Private

async function inspect(engine: Docker, name: string): Promise<ContainerInspectInfo | null> {
  try {
    return await engine.getContainer(name).inspect();
  } catch (error) {
    if (engineStatus(error) === 404) return null;
    throw error;
  }
}

function hostPorts({ NetworkSettings }: ContainerInspectInfo): string[] {
  const bindings = Object.values(NetworkSettings.Ports) as (readonly { HostPort: string }[] | null)[];
  return bindings.flatMap((list) => (list ?? []).map(({ HostPort }) => HostPort));
}

function proxiesByPort(): ReadonlyMap<string, number> {
  const proxies = listProcesses()
    .map(({ pid }) => ({ pid, argv: commandLine(pid) }))
    .filter(({ argv }) => argv[0]?.endsWith('docker-proxy'));
  return new Map(proxies.map(({ pid, argv }) => [argv[argv.indexOf('-host-port') + 1] ?? '', pid]));
}
