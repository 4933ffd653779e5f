import * as z from 'zod';
import type { Actor } from '../../domain/state.ts';
import type { BotView, PoolApi } from '../../services/pool-api.ts';
import { type Route, route } from '../route.ts';
import {
  anyOwner,
  args,
  botParams,
  botState,
  botView,
  changedFiles,
  containerName,
  desired,
  env,
  files,
  instanceId,
  limits,
  mode,
  name,
  ownerId,
  queryInt,
} from '../schemas.ts';

const page = z
  .object({
    bots: z.array(botView),
    next: z.string().nullable().meta({ description: 'Pass as `after` for the next page; null on the last' }),
  })
  .meta({ id: 'Bots' });

const filter = z.strictObject({
  owner: anyOwner.exactOptional(),
  template: name.exactOptional(),
  state: botState.exactOptional(),
  container: containerName.exactOptional(),
  after: instanceId.exactOptional(),
  limit: queryInt(1, 1000).exactOptional(),
});

const createBot = z
  .strictObject({
    instanceId,
    template: name.exactOptional().meta({ description: 'DEFAULT_TEMPLATE when left out' }),
    owner: ownerId.exactOptional(),
    location: name.exactOptional(),
    group: name.exactOptional(),
    mode: mode.exactOptional().meta({ description: 'As the template and POOL_MODE_ENABLED say when left out' }),
    files: files.exactOptional(),
    env: env.exactOptional(),
    args: args.exactOptional(),
    limits: limits.exactOptional(),
    desired: desired.exactOptional(),
  })
  .meta({ id: 'CreateBot' });

const changeBot = z
  .strictObject({
    files: changedFiles.exactOptional(),
    env: env.exactOptional(),
    args: args.exactOptional(),
    limits: limits.exactOptional(),
    desired: desired.exactOptional(),
  })
  .meta({ id: 'ChangeBot' });

const moveBot = z
  .strictObject({
    to: z
      .union([z.literal('pool'), z.literal('alone'), containerName], 'must be pool, alone or the name of a container')
      .exactOptional()
      .meta({ description: 'pool: another container of its pool; alone: one of its own; or the name of one' }),
    location: name.exactOptional(),
  })
  .meta({ id: 'MoveBot', description: 'Nothing said: to another container of its pool' });

/** `/api/bots`: bots themselves. Each change is a wish; what becomes of it shows in `state` and in the events. */
export function botRoutes(api: PoolApi): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/bots',
      access: 'any',
      summary: 'Bots by id, an owner sees their own',
      query: filter,
      reply: { status: 200, json: page },
      handle: ({ actor, query }) => ({ json: api.listBots(actor, query) }),
    }),
    route({
      method: 'POST',
      path: '/api/bots',
      access: 'any',
      summary: 'Create a bot',
      body: createBot,
      reply: { status: 201, json: botView },
      errors: ['FORBIDDEN', 'CONFLICT', 'UNSUPPORTED'],
      handle: async ({ actor, body }) => {
        const bot = await api.createBot(actor, body);
        return { json: bot, headers: { Location: `/api/bots/${bot.instanceId}` } };
      },
    }),
    route({
      method: 'GET',
      path: '/api/bots/{id}',
      access: 'any',
      summary: 'One bot',
      params: botParams,
      reply: { status: 200, json: botView },
      handle: ({ actor, params }) => ({ json: api.getBot(actor, params.id) }),
    }),
    route({
      method: 'PATCH',
      path: '/api/bots/{id}',
      access: 'any',
      summary: 'Change files, environment, arguments, limits or the desired state',
      params: botParams,
      body: changeBot,
      reply: { status: 200, json: botView },
      errors: ['CONFLICT', 'UNSUPPORTED'],
      handle: async ({ actor, params, body }) => ({ json: await api.changeBot(actor, params.id, body) }),
    }),
    route({
      method: 'DELETE',
      path: '/api/bots/{id}',
      access: 'any',
      summary: 'Delete a bot: it is stopped, its data archived, then it is forgotten',
      params: botParams,
      reply: { status: 202, json: botView },
      handle: async ({ actor, params }) => ({ json: await api.deleteBot(actor, params.id) }),
    }),
    action('start', 'Want it running', (actor, id) => api.setDesired(actor, id, 'running')),
    action('stop', 'Want it stopped; it stays stopped', (actor, id) => api.setDesired(actor, id, 'stopped')),
    action('pause', 'Want it paused, where the template can', (actor, id) => api.setDesired(actor, id, 'paused')),
    action('restart', 'Restart it once', (actor, id) => api.restartBot(actor, id)),
    route({
      method: 'POST',
      path: '/api/bots/{id}/move',
      access: 'admin',
      summary:
        'Move it with its data to another container; it is away for moments, and goes back if it is not well there',
      params: botParams,
      body: moveBot,
      reply: { status: 202, json: botView },
      errors: ['CONFLICT', 'UNSUPPORTED', 'BOT_UNAVAILABLE', 'UNKNOWN_LOCATION'],
      handle: async ({ actor, params, body }) => ({ json: await api.moveBot(actor, params.id, body) }),
    }),
  ];
}

function action(verb: string, summary: string, act: (actor: Actor, id: string) => Promise<BotView>): Route {
  return route({
    method: 'POST',
    path: `/api/bots/{id}/${verb}`,
    access: 'any',
    summary,
    params: botParams,
    reply: { status: 200, json: botView },
    errors: ['CONFLICT', 'UNSUPPORTED'],
    handle: async ({ actor, params }) => ({ json: await act(actor, params.id) }),
  });
}
