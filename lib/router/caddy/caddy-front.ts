import { readFile } from 'node:fs/promises';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import type { CheckResult } from '../../probes/probe.ts';
import type { Front } from '../../services/front.ts';
import { createCaddyAdmin } from './admin.ts';
import { nextEdit, type Wanted } from './edits.ts';
import { checkHandshake } from './handshake.ts';

export interface CaddyOptions extends Omit<Wanted, 'hosts'> {
  /** Of Caddy's API: `http://host:port` or `unix:///path`. */
  readonly admin: string;
  readonly caFile: string | null;
}

/** An edit each for policy and server; more only when somebody else edits at the same time. */
const MOST_EDITS = 10;

/**
 * Caddy before the bots' host names. All lead to our own proxy, which alone can prove that it is the bot who listens on a
 * port; Caddy has the certificates.
 */
export function createCaddyFront({ admin: address, caFile, ...ours }: CaddyOptions): Front {
  const admin = createCaddyAdmin(address);
  const host = hostOfAdmin(address);

  async function serve(hosts: readonly string[]): Promise<void> {
    const wanted = { ...ours, hosts };
    for (let edits = 0; edits < MOST_EDITS; edits++) {
      const { config, version } = await admin.read();
      const edit = nextEdit(config, wanted);
      if (edit === null) return;
      await admin.edit(edit, version);
    }
    throw new BunkhouseError('CONFLICT', "Caddy's configuration does not come to rest: somebody else changes it too");
  }

  return {
    serve: (hosts) => outcome(() => serve(hosts)),
    // A change of its configuration ends what Caddy is getting, and it may then not begin again by itself.
    retry: () => outcome(() => admin.reload()),
    check: async (servername) => {
      try {
        // Read anew each time: the operator may have put the right one there.
        const authorities = caFile === null ? [] : [await readFile(caFile, 'utf8')];
        return await checkHandshake({ host, port: ours.httpsPort, servername, authorities });
      } catch (error) {
        return { ok: false, reason: messageOf(error) };
      }
    },
    close: () => admin.close(),
  };
}

async function outcome(work: () => Promise<void>): Promise<CheckResult> {
  try {
    await work();
    return { ok: true, reason: '' };
  } catch (error) {
    return { ok: false, reason: messageOf(error) };
  }
}

/** Where Caddy is, its callers find it too. */
function hostOfAdmin(address: string): string {
  return address.startsWith('unix:') ? '127.0.0.1' : new URL(address).hostname.replace(/^\[|\]$/g, '');
}
