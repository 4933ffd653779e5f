import { dirname, join } from 'node:path';
import { type EngineEndpoint, enginesOf, usesDriver } from '../../config/locations.ts';
import { askEngine } from './engine.ts';
import { type Check, type Finding, fail, ok, warn } from './finding.ts';
import type { Machine } from './machine.ts';

/** Checks of the programs Bunkhouse needs. Null: not needed here. */

const MAKE_VENV = 'Run scripts/up, which makes it, or set SUPERVISORD to one you have.';

export const checkNode: Check = ({ nodeVersion }) => {
  const major = Number(nodeVersion.split('.')[0]);
  if (major >= 24) return ok('node', `Node ${nodeVersion}`);
  return fail('node', `Node ${nodeVersion} is too old`, 'Use Node 24 or newer: scripts/up installs one into .tools/.');
};

export const checkPython: Check = async (machine) => {
  if (!usesDriver(machine.config, 'process')) return null;
  const python = join(dirname(machine.config.supervisord), 'python3');
  const version = await machine.run(python, ['-c', 'import platform; print(platform.python_version())']);
  if (version === null) return fail('python', `no Python at ${python}`, MAKE_VENV);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 3 || (major === 3 && minor < 11)) {
    return fail(
      'python',
      `Python ${version} at ${python} is too old`,
      'Install Python 3.11 or newer and run scripts/up.',
    );
  }
  const closed = machine.root ? await closedTo(machine, python) : null;
  if (closed === null) return ok('python', `Python ${version} at ${python}`);
  return fail(
    'python',
    `bots have users of their own, and ${closed} is closed to them`,
    `Open it (chmod o+x ${closed}), or remove ${dirname(dirname(python))} and run scripts/up with another Python.`,
  );
};

export const checkSupervisord: Check = async (machine) => {
  const { supervisord } = machine.config;
  if (!usesDriver(machine.config, 'process')) return null;
  const version = await machine.run(supervisord, ['--version']);
  if (version === null) return fail('supervisord', `no supervisord at ${supervisord}`, MAKE_VENV);
  if (version.startsWith('4.3.')) return ok('supervisord', `supervisord ${version}`);
  return warn(
    'supervisord',
    `supervisord ${version}`,
    'Bunkhouse is tested with 4.3: remove the venv and run scripts/up.',
  );
};

export const checkFreqtrade: Check = async (machine) => {
  const { botPath } = machine.config;
  if (!usesDriver(machine.config, 'process')) return null;
  for (const folder of botPath.split(':')) {
    if ((await machine.stat(join(folder, 'freqtrade'))) === null) continue;
    const ask = 'from importlib.metadata import version; print(version("freqtrade"))';
    const version = await machine.run(join(folder, 'python3'), ['-c', ask]);
    return ok('freqtrade', `FreqTrade ${version ?? 'of unknown version'} in ${folder}`);
  }
  return warn(
    'freqtrade',
    'not installed for bots',
    'Only FreqTrade bots need it: scripts/up --demo installs it, or put its folder into BOT_PATH.',
  );
};

/** By the Debian packages that templates/wordpress.yaml needs, a file of each. */
const WORDPRESS: Readonly<Record<string, string>> = {
  wordpress: '/usr/share/wordpress/wp-load.php',
  'libapache2-mod-php': '/usr/sbin/apache2',
  'php-cli': '/usr/bin/php',
  'mariadb-server-core': '/usr/sbin/mariadbd',
  'mariadb-client': '/usr/bin/mariadb-dump',
};

export const checkWordPress: Check = async (machine) => {
  const { defaultTemplate } = machine.config;
  if (!usesDriver(machine.config, 'process') || defaultTemplate !== 'wordpress') return null;
  const missing: string[] = [];
  for (const [name, file] of Object.entries(WORDPRESS)) if ((await machine.stat(file)) === null) missing.push(name);
  if (missing.length === 0) return ok('wordpress', 'WordPress, Apache with PHP and MariaDB are installed');
  const packages = missing.join(' ');
  return fail('wordpress', `not installed: ${packages}`, `apt-get install ${packages}, or set POOL_DRIVER=docker.`);
};

export const checkDocker: Check = async (machine) => {
  const engines = enginesOf(machine.config);
  if (engines.length === 0) return null;
  const findings = await Promise.all(engines.map((endpoint) => checkEngine(machine, endpoint)));
  const trouble = findings.find(({ level }) => level !== 'ok');
  return trouble ?? ok('docker', [...new Set(findings.map(({ found }) => found))].join('; '));
};

async function checkEngine(machine: Machine, { dockerHost, locations }: EngineEndpoint): Promise<Finding> {
  const answer = await askEngine(machine, '/version', dockerHost);
  if (!('error' in answer)) return dockerVersion(String(answer.json.Version), String(answer.json.ApiVersion));
  return fail(
    'docker',
    `no engine answers at ${dockerHost} (location ${locations.join(', ')}): ${answer.error}`,
    'Start Docker, or set DOCKER_HOST or LOCATIONS; your user must be in the group docker.',
  );
}

function dockerVersion(version: string, api: string): Finding {
  const [major = 0, minor = 0] = api.split('.').map(Number);
  if (major > 1 || (major === 1 && minor >= 41)) return ok('docker', `Docker ${version}, API ${api}`);
  return fail('docker', `Docker ${version} is too old`, 'Install Docker 20.10 or newer.');
}

/** The first part of a program's path, links followed, that users other than its owner cannot pass or read; or null. */
async function closedTo(machine: Machine, program: string): Promise<string | null> {
  const real = (await machine.realPath(program)) ?? program;
  for (const start of [program, real]) {
    for (let path = start; ; path = dirname(path)) {
      const found = await machine.stat(path);
      if (found !== null && (found.mode & 0o001) === 0) return path;
      if (path === dirname(path)) break;
    }
  }
  return null;
}
