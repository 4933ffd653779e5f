import { posix } from 'node:path';
import type { ContainerCreateOptions, HostConfig, MountSettings, NetworkCreateOptions } from 'dockerode';
import {
  type ContainerLimits,
  type ContainerRecord,
  type ContainerSpec,
  LABEL,
  slotPort,
} from '../../domain/container.ts';
import { BunkhouseError } from '../../domain/errors.ts';
import { renderConfig } from '../../supervisord/config.ts';
import { labelsOf } from '../labels.ts';

/** The address containers publish on, and so the only one they are reached at. */
export const LOOPBACK = '127.0.0.1';
export const DATA_DIRECTORY = '/var/lib/bunkhouse';
export const CONFIG_FILE = 'supervisord.conf';
export const CONFIG_PATH = posix.join(DATA_DIRECTORY, CONFIG_FILE);

export const USERNAME = 'bunkhouse';
/** Above the users of a host and above the subordinate ranges that distributions hand out, so that a bot's uid is nobody's. */
const UID_BASE = 1_000_000;

/**
 * What supervisord needs as root, found by leaving out one after the other: become a slot's user (SETUID, SETGID), give it
 * its directory and read it again (CHOWN, DAC_OVERRIDE), and end its processes (KILL). Bots have none: they go with the uid.
 */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID'];

/** Seconds that anybody's `docker stop` leaves the bots, and then their services, to end in good order. The driver's own stop says its own. */
const STOP_SECONDS = 120;

/** Uid of the bot on that port, inside and, as the engine maps no ids, on the host. */
export const slotUid = (port: number): number => UID_BASE + port;
export const networkName = (installation: string): string => `bunkhouse-${installation}`;
export const volumeName = (container: string): string => `${container}-data`;

/** Port of supervisord inside: next to the slots' ports, so never one of them. */
export function agentPort(record: Pick<ContainerRecord, 'basePort' | 'capacity'>): number {
  const above = record.basePort + record.capacity;
  return above <= 65_535 ? above : record.basePort - 1;
}

/** One network for all containers of an installation, on which they cannot reach each other. */
export function networkOptions(installation: string): NetworkCreateOptions {
  return {
    Name: networkName(installation),
    CheckDuplicate: true,
    Driver: 'bridge',
    Labels: { [LABEL.instance]: installation },
    Options: { 'com.docker.network.bridge.enable_icc': 'false' },
  };
}

/** The engine makes it where there is none of that name. */
function dataVolume(container: string, installation: string): Pick<MountSettings, 'Source' | 'VolumeOptions'> {
  const Labels = { [LABEL.instance]: installation, [LABEL.container]: container };
  const DriverConfig = { Name: 'local', Options: {} };
  return { Source: volumeName(container), VolumeOptions: { NoCopy: true, Labels, DriverConfig } };
}

/** Everything the engine must know of a container. Throws UNSUPPORTED when its template names no image. */
export function containerOptions(
  spec: ContainerSpec,
  { installation, writableCgroups }: { readonly installation: string; readonly writableCgroups: boolean },
): ContainerCreateOptions & { name: string; Image: string } {
  const { record } = spec;
  if (record.image === null) {
    throw new BunkhouseError(
      'UNSUPPORTED',
      `the template of pool ${record.pool} names no image, which the docker driver needs: add "image" to the template or use POOL_DRIVER=process`,
    );
  }
  return {
    name: record.name,
    Image: record.image,
    Labels: { ...labelsOf(record, installation) },
    StopTimeout: STOP_SECONDS,
    ExposedPorts: Object.fromEntries(ports(record).map(({ inside }) => [inside, {}])),
    HostConfig: {
      PortBindings: Object.fromEntries(
        ports(record).map(({ inside, outside }) => [inside, [{ HostIp: LOOPBACK, HostPort: outside }]]),
      ),
      Mounts: [{ ...dataVolume(record.name, installation), Type: 'volume', Target: DATA_DIRECTORY, ReadOnly: false }],
      NetworkMode: networkName(installation),
      ExtraHosts: ['host.docker.internal:host-gateway'],
      RestartPolicy: { Name: 'unless-stopped' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
      CapDrop: ['ALL'],
      CapAdd: CAPABILITIES,
      SecurityOpt: ['no-new-privileges', ...(writableCgroups ? ['writable-cgroups=true'] : [])],
      // Writable ones must never be those of the host, whatever the engine's default is.
      ...(writableCgroups ? { CgroupnsMode: 'private' } : {}),
      // Only lowered, as an engine inside a container may raise nothing. Nor is supervisord's OOM score: the plugin raises the bots'.
      Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
      Init: false,
      ...resources(spec.limits),
    },
  };
}

/** supervisord.conf of one container. Holds its password, of letters, digits, `-` and `_`. */
export function supervisordConfig(record: ContainerRecord, password: string): string {
  return renderConfig({
    identifier: record.name,
    endpoint: { kind: 'http', host: '0.0.0.0', port: agentPort(record), username: USERNAME, password },
    pidFile: '/run/supervisord.pid',
    logFile: null,
    asRoot: true,
    plugin: { directory: DATA_DIRECTORY, uidBase: UID_BASE },
  });
}

/** supervisord's port as keyed in the engine's tables. */
export const agentPortKey = (record: Pick<ContainerRecord, 'basePort' | 'capacity'>): string =>
  `${agentPort(record)}/tcp`;

/** The password in a supervisord.conf; null when there is none. */
export function passwordOf(config: string): string | null {
  return /^password = (\S+)$/m.exec(config)?.[1] ?? null;
}

/** Slots are published on their own number, supervisord on whatever port of the host is free. */
function ports(record: ContainerRecord): { inside: string; outside: string }[] {
  const slots = Array.from({ length: record.capacity }, (_, slot) => slotPort(record, slot));
  return [
    ...slots.map((port) => ({ inside: `${port}/tcp`, outside: String(port) })),
    { inside: agentPortKey(record), outside: '' },
  ];
}

function resources(limits: ContainerLimits): Pick<HostConfig, 'Memory' | 'MemorySwap' | 'NanoCpus' | 'PidsLimit'> {
  return {
    // Memory and swap together are limited to the same: a container swaps out nothing.
    ...(limits.memoryBytes === null ? {} : { Memory: limits.memoryBytes, MemorySwap: limits.memoryBytes }),
    ...(limits.cpus === null ? {} : { NanoCpus: Math.round(limits.cpus * 1e9) }),
    ...(limits.processes === null ? {} : { PidsLimit: limits.processes }),
  };
}
