import { usesDriver } from '../../config/locations.ts';
import { askEngine } from './engine.ts';
import { type Check, type Finding, ok, warn } from './finding.ts';
import type { Machine } from './machine.ts';

/** Whether each bot can have a cgroup of its own, which holds it to its memory, processes and share of the CPU. */

const NAME = 'control groups';
const FOLDER = '/sys/fs/cgroup';
/** Of Docker 28, the first that lets containers write their own cgroups. */
const WRITABLE_API = 48;
const WITHOUT =
  'Without them bots are held by rlimits and the watch over their memory alone, and share the CPU as they like.';

/** `folder`: where cgroups with memory limits are; version 0: nowhere. */
interface Cgroups {
  readonly version: 0 | 1 | 2;
  readonly folder: string;
  readonly writable: boolean;
}

export const checkCgroups: Check = async (machine) => {
  const here = await cgroupsOf(machine);
  const findings = [
    ...(usesDriver(machine.config, 'process') ? [ofMachine(machine, here)] : []),
    ...(usesDriver(machine.config, 'docker') ? [await ofContainers(machine, here)] : []),
  ];
  return findings.find(({ level }) => level !== 'ok') ?? findings[0] ?? null;
};

// Private

async function cgroupsOf(machine: Machine): Promise<Cgroups> {
  const first = `${FOLDER}/memory`;
  const version =
    (await machine.readText(`${FOLDER}/cgroup.controllers`)) !== null ? 2 : await firstVersion(machine, first);
  const folder = version === 1 ? first : FOLDER;
  return { version, folder, writable: version > 0 && machine.root && (await machine.canWrite(folder)) };
}

async function firstVersion(machine: Machine, folder: string): Promise<0 | 1> {
  return (await machine.stat(folder))?.folder === true ? 1 : 0;
}

function ofMachine({ root }: Machine, { version, folder, writable }: Cgroups): Finding {
  const where = version === 2 ? ', as a service where systemd (254 and later) delegates them' : '';
  if (writable) return ok(NAME, `version ${version}: each bot gets one of its own${where}`);
  if (version === 0) return none();
  const found = `version ${version}, which ${root ? `cannot be written in ${folder}` : 'only root may write'}`;
  return warn(NAME, found, `Run the supervisor as root on the machine itself. ${WITHOUT}`);
}

/** Made inside where the engine lets containers do it, else from outside by a supervisor that is root on the same machine. */
async function ofContainers(machine: Machine, here: Cgroups): Promise<Finding> {
  const [version, info] = [await askEngine(machine, '/version'), await askEngine(machine, '/info')];
  const facts = { ...('json' in version ? version.json : {}), ...('json' in info ? info.json : {}) };
  const [major = 0, minor = 0] = String(facts.ApiVersion).split('.').map(Number);
  if (facts.CgroupVersion === '2' && (major > 1 || minor >= WRITABLE_API)) {
    return ok(NAME, 'version 2: each bot gets one of its own, made inside its container');
  }
  const kernel = (await machine.readText('/proc/sys/kernel/osrelease'))?.trim();
  if (facts.KernelVersion !== undefined && facts.KernelVersion !== kernel) {
    return warn(NAME, 'the Docker engine runs on another machine', `Run the supervisor there, as root. ${WITHOUT}`);
  }
  if (here.writable)
    return ok(NAME, `version ${here.version}: each bot gets one of its own, made from outside its container`);
  if (here.version === 0) return none();
  const update = 'use Docker 28 with cgroups of version 2';
  if (!machine.root) {
    return warn(
      NAME,
      `version ${here.version}, which only root may write`,
      `Run the supervisor as root, or ${update}. ${WITHOUT}`,
    );
  }
  const next = `Run the supervisor on the machine itself, not in a container, or ${update}. ${WITHOUT}`;
  return warn(NAME, `version ${here.version}, which cannot be written in ${here.folder}`, next);
}

const none = (): Finding => warn(NAME, 'there are none', `Mount them: version 2 at ${FOLDER}. ${WITHOUT}`);
