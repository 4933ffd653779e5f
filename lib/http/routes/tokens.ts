import * as z from 'zod';
import type { Actor } from '../../domain/state.ts';
import type { Tokens } from '../../services/tokens.ts';
import { type Route, route } from '../route.ts';
import { isoDate, ownerId } from '../schemas.ts';

const actor = z.discriminatedUnion('role', [
  z.object({ role: z.literal('admin') }),
  z.object({ role: z.literal('owner'), owner: z.string() }),
]);
const tokenView = z.object({ id: z.string(), actor, createdAt: isoDate }).meta({ id: 'Token' });
const newToken = tokenView
  .extend({ token: z.string().meta({ description: 'Shown this once and kept nowhere' }) })
  .meta({ id: 'NewToken' });

const createToken = z
  .union([z.strictObject({ owner: ownerId }), z.strictObject({ role: z.literal('admin') })], {
    error: 'must be {"owner": "…"} or {"role": "admin"}',
  })
  .meta({ id: 'CreateToken' });

/** Bearer tokens, made and revoked by administrators. */
export function tokenRoutes(tokens: Tokens): Route[] {
  return [
    route({
      method: 'POST',
      path: '/api/tokens',
      access: 'admin',
      summary: 'Make a token for an owner or another administrator; it is shown only here',
      body: createToken,
      secretReply: true,
      reply: { status: 201, json: newToken },
      handle: async ({ body }) => ({ json: await tokens.create(actorOf(body)) }),
    }),
    route({
      method: 'GET',
      path: '/api/tokens',
      access: 'admin',
      summary: 'Tokens there are, without the tokens themselves',
      reply: { status: 200, json: z.object({ tokens: z.array(tokenView) }) },
      handle: () => ({ json: { tokens: tokens.list() } }),
    }),
    route({
      method: 'DELETE',
      path: '/api/tokens/{id}',
      access: 'admin',
      summary: 'Revoke a token at once',
      params: z.strictObject({ id: z.uuid() }),
      reply: { status: 200, json: tokenView },
      handle: async ({ params }) => ({ json: await tokens.revoke(params.id) }),
    }),
  ];
}

const actorOf = (body: z.infer<typeof createToken>): Actor =>
  'owner' in body ? { role: 'owner', owner: body.owner } : body;
