import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../lib/cli/client.ts';
import type { ReserveStatus } from '../../lib/services/lease-api.ts';
import type { Demo } from './demo.ts';
import { elapsed } from './steps.ts';

const TEMPLATE = 'wordpress';
const LOOK_EVERY_MS = 500;

/** WordPress sites that wait to be handed out on lease. */
export const wordpressDemo: Demo = {
  settings: (count) => ({
    DEFAULT_TEMPLATE: TEMPLATE,
    POOL_TARGET_SIZE: String(count),
    POOL_MIN_SIZE: String(Math.min(count, 3)),
  }),
  prepare: async () => ({ own: false, close: async () => {} }),
  async fill(client, _, { count, seconds, signal, steps }) {
    const begin = performance.now();
    for (;;) {
      const { ready, warming, assigned, resetting, held } = await reserveOf(client);
      const all = ready + assigned + resetting >= count;
      if (all) steps.line(`✓ WordPress sites ready to be handed out: ${ready} (${elapsed(begin)})`);
      if (all || signal.aborted) return all;
      if (performance.now() - begin > seconds * 1000) {
        steps.line(`✗ only ${ready} of ${count} sites are ready, ${warming} are being made ${held}`.trimEnd());
        return false;
      }
      steps.status(`… ${ready} of ${count} sites are ready (${elapsed(begin)})`);
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  },
  look: ({ curl, bunkhouse, where }) => [
    `${bunkhouse} pool reserve${where}`,
    `${bunkhouse} leases acquire --template ${TEMPLATE} --ttl 600${where}    # address, user and password of a site`,
    `${curl}/bots/BOT/    # its front page; BOT as the lease says`,
    `${bunkhouse} leases release LEASE${where}    # it is made anew, for the next`,
  ],
};

// Private

async function reserveOf(client: Client): Promise<ReserveStatus> {
  const { json } = await client.call<{ reserves: ReserveStatus[] }>('GET', '/api/pool/reserve');
  const reserve = json.reserves.find(({ template }) => template === TEMPLATE);
  if (reserve === undefined) throw new Error(`The supervisor keeps no reserve of template ${TEMPLATE}.`);
  return reserve;
}
