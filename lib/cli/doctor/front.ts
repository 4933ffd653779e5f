import { usesDriver } from '../../config/locations.ts';
import { type Check, type Finding, fail, ok, warn } from './finding.ts';

const NAME = 'front';
/** Edits that are refused when somebody else changed the configuration meanwhile came with it. */
const LEAST: readonly [number, number] = [2, 6];

/** Caddy before the bots' host names: whether it answers, is new enough, and who else may configure it. Null: there is none. */
export const checkFront: Check = async (machine) => {
  const { caddyAdmin, baseDomain } = machine.config;
  if (caddyAdmin === null) return null;
  if (baseDomain === null) {
    return warn(NAME, 'CADDY_ADMIN does nothing without BASE_DOMAIN', 'Set BASE_DOMAIN, so that bots have host names.');
  }
  const socket = caddyAdmin.startsWith('unix://') ? caddyAdmin.slice('unix://'.length) : undefined;
  const url = `${socket === undefined ? caddyAdmin : 'http://localhost'}/config/admin`;
  const answer = await machine.getJson(url, socket);
  if ('error' in answer) {
    return fail(NAME, `no Caddy answers at ${caddyAdmin}: ${answer.error}`, 'Start it, or correct CADDY_ADMIN.');
  }
  // Where the operator's configuration says nothing of it, it is null.
  const { error: refused, listen = '' } = (answer.json as typeof answer.json | null) ?? {};
  if (typeof refused === 'string') return fail(NAME, `Caddy refuses: ${refused}`, 'Correct CADDY_ADMIN.');
  const version = await machine.run('caddy', ['version']);
  return (
    judgeVersion(version) ?? judgeListener(caddyAdmin, String(listen), usesDriver(machine.config, 'process'), version)
  );
};

// Private

function judgeVersion(version: string | null): Finding | null {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  if (major === undefined || minor === undefined) return null;
  const isOld = Number(major) < LEAST[0] || (Number(major) === LEAST[0] && Number(minor) < LEAST[1]);
  return isOld ? fail(NAME, `Caddy ${version} is too old`, `Install ${LEAST.join('.')} or later.`) : null;
}

/** Whoever reaches Caddy's API needs no password to send all callers elsewhere. */
function judgeListener(admin: string, listen: string, botsHere: boolean, version: string | null): Finding {
  const found = `Caddy ${version ?? '(version not known)'} answers at ${admin}`;
  const host = listen.startsWith('unix/') ? null : hostOf(listen === '' ? admin : `tcp://${listen}`);
  if (host !== null && !/^(localhost|127\.[\d.]+|::1)$/.test(host)) {
    const open = `its API listens at ${listen === '' ? host : listen}, where others may reach it`;
    return fail(
      NAME,
      `${found}, and ${open}`,
      'Have it listen at loopback, or better at a Unix socket (`admin` in its configuration).',
    );
  }
  if (host !== null && botsHere) {
    const next =
      'Have it listen at a Unix socket that only Bunkhouse and Caddy may open (`admin` in its configuration).';
    return warn(NAME, `${found}, where bots on this machine can reach it too`, next);
  }
  return ok(NAME, found);
}

/** Empty: all addresses. */
function hostOf(url: string): string {
  return /^\w+:\/\/(\[[^\]]*\]|[^:/]*)/.exec(url)?.[1]?.replace(/^\[|\]$/g, '') ?? '';
}
