import * as z from 'zod';
import {
  createDocument,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi';
import { type HttpCode, problemSchema, STATUS } from './problem.ts';
import { changesSomething, type Route } from './route.ts';

const idempotencyKey = z.string().min(1).max(255).optional().meta({
  description: 'The same request with the same key within a day gets the first answer again and is done once',
});
const lastEventId = z.string().optional().meta({ description: 'Of the last event seen; the stream goes on after it' });

/** OpenAPI 3.1 of these routes, made from the schemas they parse with. `ways`: what else leads somewhere, as it is. */
export function openapiDocument(
  routes: readonly Route[],
  version: string,
  ways: ZodOpenApiPathsObject = {},
): ReturnType<typeof createDocument> {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) };
  }
  const document: ZodOpenApiObject = {
    openapi: '3.1.1',
    info: {
      title: 'Bunkhouse',
      version,
      description:
        'A supervisor for multi-tenant pooled containers. Beside these routes ANY /bots/{id}/* reaches the bot itself: HTTP, events and WebSocket.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths: { ...(paths as ZodOpenApiPathsObject), ...ways },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  };
  return createDocument(document);
}

function operation(route: Route): ZodOpenApiOperationObject {
  const header = z.object({
    ...(changesSomething(route) && !route.secretReply ? { 'Idempotency-Key': idempotencyKey } : {}),
    ...(route.reply.events ? { 'Last-Event-ID': lastEventId } : {}),
  });
  return {
    operationId: operationId(route),
    summary: route.summary,
    tags: [tagOf(route)],
    security: route.access === 'public' ? [] : [{ token: [] }, ...(route.open === undefined ? [] : [{}])],
    requestParams: {
      ...(route.params ? { path: route.params } : {}),
      ...(route.query ? { query: route.query } : {}),
      ...(Object.keys(header.shape).length > 0 ? { header } : {}),
    },
    ...(route.body ? { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } } : {}),
    responses: { [route.reply.status]: success(route), ...problems(codesOf(route)) } as ZodOpenApiResponsesObject,
  };
}

function success({ reply, summary }: Route): ZodOpenApiResponseObject {
  return {
    description: summary,
    content: {
      ...(reply.json ? { 'application/json': { schema: reply.json } } : {}),
      ...(reply.text ? { [reply.text]: { schema: z.string() } } : {}),
      ...(reply.events ? { 'text/event-stream': { schema: reply.events } } : {}),
    },
  };
}

/** What every route can answer, from how it is made, and what it says it can. */
function codesOf(route: Route): HttpCode[] {
  const named = route.params ? (['NOT_FOUND'] as const) : [];
  const guarded = { public: [], any: ['UNAUTHORIZED'], admin: ['UNAUTHORIZED', 'FORBIDDEN'] } as const;
  const body = changesSomething(route) ? (['TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE', 'STORE_UNAVAILABLE'] as const) : [];
  const counted = route.open === undefined ? [] : (['RATE_LIMITED'] as const);
  return ['INVALID', 'INTERNAL', ...named, ...guarded[route.access], ...counted, ...body, ...(route.errors ?? [])];
}

function problems(codes: readonly HttpCode[]): Record<string, ZodOpenApiResponseObject> {
  const byStatus = Map.groupBy(new Set(codes), (code) => String(STATUS[code]));
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      status,
      { description: same.join(', '), content: { 'application/problem+json': { schema: problemSchema } } },
    ]),
  );
}

function operationId({ method, path }: Route): string {
  const words = path
    .replaceAll(/[{}]/g, '')
    .split(/[/-]/)
    .filter((word) => word !== '' && word !== 'api');
  return method.toLowerCase() + words.map((word) => (word[0] ?? '').toUpperCase() + word.slice(1)).join('');
}

function tagOf({ path }: Route): string {
  return path.split('/').filter((word) => word !== '' && word !== 'api')[0] ?? 'api';
}
