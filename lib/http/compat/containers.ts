import * as z from 'zod';
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { type Route, route } from '../route.ts';
import { leaseId, name } from '../schemas.ts';
import { type Group, WAIT_SECONDS } from './group.ts';

const acquire = z
  .strictObject({
    location: name.exactOptional().meta({ example: 'weur' }),
    maxLifetimeInSeconds: z
      .number()
      .min(1)
      .max(365 * 86_400)
      .exactOptional(),
  })
  .meta({ id: 'AcquireContainer' });

/** `/container`: one that is ready. What is below `/container/{id}` is the way to it, which the gateway has. */
export function containerRoutes({ leases, template, open }: Group): Route[] {
  return [
    route({
      method: 'POST',
      path: '/container',
      access: 'any',
      ...open,
      summary: 'Get a container; ANY /container/{id} and /container/{id}/* then reach what runs in it',
      body: acquire,
      reply: { status: 200, json: z.object({ id: z.string() }).meta({ id: 'AcquiredContainer' }) },
      errors: ['UNKNOWN_LOCATION', 'RATE_LIMITED', 'POOL_EXHAUSTED', 'DRIVER_UNAVAILABLE'],
      handle: async ({ actor, body: { maxLifetimeInSeconds: ttlSeconds, ...where }, idempotencyKey }) => {
        const wish = { template, waitSeconds: WAIT_SECONDS, ...where };
        const lifetime = ttlSeconds === undefined ? {} : { ttlSeconds };
        const { id } = await leases.acquire(actor, { ...wish, ...lifetime }, idempotencyKey);
        return { json: { id } };
      },
    }),
  ];
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const;
const id = leaseId.meta({ description: 'As `POST /container` answered it' });

/** What the gateway does with a container's address, for the documentation. */
export function containerWays(isOpen: boolean): ZodOpenApiPathsObject {
  const security = [{ token: [] }, ...(isOpen ? [{}] : [])];
  const way = (name: string, path: z.ZodObject): ZodOpenApiPathItemObject =>
    Object.fromEntries(
      METHODS.map((method) => [
        method,
        {
          operationId: `${method}${name}`,
          summary: 'Goes to what runs in the container, as it is; WebSockets too',
          tags: ['container'],
          security,
          requestParams: { path },
          responses: { default: answer },
        },
      ]),
    );
  return {
    '/container/{id}': way('ContainerRoot', z.object({ id })),
    '/container/{id}/{path}': way('ContainerPath', z.object({ id, path: z.string() })),
  };
}

const answer = {
  description: 'What the container answers; a problem document when it cannot be asked',
  headers: z.object({
    'X-Container-ID': z.string().meta({ description: 'The id of the request' }),
    'X-Container-Location': z.string(),
  }),
};
