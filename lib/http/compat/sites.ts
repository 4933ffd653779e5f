import * as z from 'zod';
import { accessKeptOut } from '../lease-secrets.ts';
import { type DeepReadonly, type Route, route } from '../route.ts';
import { done, isoDate, name, success } from '../schemas.ts';
import { absolute, type Group, reserveOf, WAIT_SECONDS } from './group.ts';

const subdomain = z
  .string()
  .nullable()
  .meta({ description: 'Host name of the site; null where BASE_DOMAIN is not set', example: 'a1b2.sites.example.org' });

const create = z.strictObject({ location: name.exactOptional() }).meta({ id: 'CreateSite' });

const site = z
  .object({
    success,
    id: z.string(),
    subdomain,
    url: z.string(),
    from_pool: z.boolean().meta({ description: 'Whether a site was waiting; otherwise it was made for this call' }),
    access: z
      .record(z.string(), z.string())
      .nullable()
      .meta({ description: 'What the template tells the holder, such as a password' }),
    lease_id: z.string().meta({ description: 'For /api/leases: extend it, give it back' }),
    expires_at: isoDate,
  })
  .meta({ id: 'Site' });

const poolStatus = z
  .object({
    size: z.int().meta({ description: 'Sites that wait' }),
    target: z.int(),
    minSize: z.int(),
    isRefilling: z.boolean(),
    sites: z.array(z.object({ id: z.string(), subdomain, createdAt: isoDate })),
  })
  .meta({ id: 'SitePool' });

/** `/create-site`, `/pool-status`: sites that are there before somebody asks for them. */
export function siteRoutes(group: Group): Route[] {
  const { leases, template, open } = group;
  return [
    route({
      method: 'POST',
      path: '/create-site',
      access: 'any',
      ...open,
      summary: 'Get a site: one that waits at once, otherwise one that is made',
      body: create,
      reply: { status: 200, json: site },
      secrets: accessKeptOut<DeepReadonly<z.input<typeof site>>>(leases, ({ lease_id }) => lease_id),
      errors: ['UNKNOWN_LOCATION', 'RATE_LIMITED', 'POOL_EXHAUSTED', 'DRIVER_UNAVAILABLE'],
      handle: async ({ actor, body, idempotencyKey, origin }) => {
        const lease = await leases.acquire(actor, { template, waitSeconds: WAIT_SECONDS, ...body }, idempotencyKey);
        const { id, instanceId, url, fromPool, access, expiresAt } = lease;
        return {
          json: {
            ...done,
            id: instanceId,
            subdomain: hostIn(url),
            url: absolute(url, origin),
            from_pool: fromPool,
            access,
            lease_id: id,
            expires_at: expiresAt,
          },
        };
      },
    }),
    route({
      method: 'GET',
      path: '/pool-status',
      access: 'any',
      ...open,
      summary: 'Sites that wait for somebody',
      reply: { status: 200, json: poolStatus },
      handle: () => {
        const { target, minSize, isRefilling } = reserveOf(group);
        const sites = leases
          .waiting(template)
          .map(({ instanceId: id, url, createdAt }) => ({ id, subdomain: hostIn(url), createdAt }));
        return { json: { size: sites.length, target, minSize, isRefilling, sites } };
      },
    }),
  ];
}

/** Of an address by host name. */
const hostIn = (url: string): string | null => (URL.canParse(url) ? new URL(url).hostname : null);
