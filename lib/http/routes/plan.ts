import * as z from 'zod';
import type { PoolApi } from '../../services/pool-api.ts';
import { type Route, route } from '../route.ts';
import { done, success } from '../schemas.ts';

const plan = z
  .object({
    success,
    steps: z.array(z.object({ kind: z.string(), target: z.string(), sentence: z.string() })),
    held: z.array(z.object({ target: z.string(), why: z.string() })),
  })
  .meta({ id: 'Plan' });

/** What the next pass would do, and what it would not do and why. */
export function planRoutes(api: PoolApi): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/pool/plan',
      access: 'admin',
      summary: 'What the next pass would do and why; changes nothing',
      reply: { status: 200, json: plan },
      handle: async () => ({ json: { ...done, ...(await api.plan()) } }),
    }),
  ];
}
