import * as z from 'zod';
import type { PoolApi } from '../../services/pool-api.ts';
import { type Route, route } from '../route.ts';

export const health = z
  .object({
    status: z.enum(['ready', 'starting', 'standby']).meta({ description: 'That there is an answer is liveness' }),
    ready: z.boolean(),
    reason: z.string().meta({ description: 'Why it is not ready' }),
    version: z.string(),
  })
  .meta({ id: 'Health' });

/** Liveness and readiness in one: 503 until the first pass is done and the driver answers. */
export function healthRoutes(api: PoolApi, version: string): Route[] {
  return [
    route({
      method: 'GET',
      path: '/health',
      access: 'public',
      summary: 'Whether the supervisor is up and ready; 503 with the same body until it is',
      reply: { status: 200, json: health },
      handle: () => {
        const { ready, reason } = api.ready();
        const json = { status: ready ? ('ready' as const) : ('starting' as const), ready, reason, version };
        return { json, status: ready ? 200 : 503 };
      },
    }),
  ];
}
