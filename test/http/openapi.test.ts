import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { mount } from '../../lib/http/mount.ts';
import { startApp } from './app.ts';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

async function setUp() {
  await using app = await startApp();
  const { json } = await app.call('GET', '/openapi', { token: null });
  const routes = app.http.routes;
  return { document: json as Record<string, Record<string, Record<string, Record<string, unknown>>>>, routes };
}

describe('OpenAPI document', { timeout: 20_000 }, () => {
  it('is valid OpenAPI 3.1', async () => {
    const { document } = await setUp();
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
  });

  it('has every registered route and no other', async () => {
    const { document, routes } = await setUp();
    const router = mount(routes, {} as never);
    const registered = router.stack.flatMap((layer) =>
      layer.methods
        .filter((method) => method !== 'HEAD')
        .map((method) => `${method} ${String(layer.path).replaceAll(/:(\w+)/g, '{$1}')}`),
    );
    const documented = Object.entries(document.paths ?? {}).flatMap(([path, operations]) =>
      Object.keys(operations)
        .filter((key) => METHODS.includes(key))
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(documented.sort()).toEqual(registered.sort());
    expect(new Set(registered).size).toBe(registered.length);
  });

  it('has the routes of the design', async () => {
    const { routes } = await setUp();
    expect(routes.map(({ method, path, access }) => `${access} ${method} ${path}`).sort()).toEqual(
      [
        'admin DELETE /api/backups/{id}',
        'admin DELETE /api/tokens/{id}',
        'admin GET /api/migrations',
        'admin GET /api/migrations/{id}',
        'admin GET /api/pool/containers/{container}/services/{service}/logs',
        'admin GET /api/pool/drain',
        'admin GET /api/pool/plan',
        'admin GET /api/pool/reserve',
        'admin GET /api/pool/status',
        'admin GET /api/pool/upgrade',
        'admin GET /api/pool/upgrade/{template}',
        'admin GET /api/tokens',
        'admin GET /metrics',
        'admin POST /api/backups/run',
        'admin POST /api/migrations',
        'admin POST /api/migrations/{id}/finish',
        'admin POST /api/migrations/{id}/rollback',
        'admin POST /api/pool/cleanup',
        'admin POST /api/pool/drain',
        'admin POST /api/pool/health-check',
        'admin POST /api/pool/upgrade',
        'admin POST /api/pool/upgrade/{template}',
        'admin POST /api/tokens',
        'any DELETE /api/bots/{id}',
        'any DELETE /api/leases/{id}',
        'any GET /api/backups',
        'any GET /api/backups/overview',
        'any GET /api/backups/{id}',
        'any GET /api/bots',
        'any GET /api/bots/{id}',
        'any GET /api/bots/{id}/logs',
        'any GET /api/events',
        'any GET /api/leases',
        'any GET /api/leases/{id}',
        'any GET /api/leases/{id}/status',
        'any GET /api/locations',
        'any GET /api/pool/bot/{instanceId}',
        'any GET /api/usage',
        'any PATCH /api/bots/{id}',
        'any POST /api/backups/{id}/restore',
        'any POST /api/bots',
        'any POST /api/bots/{id}/backup',
        'any POST /api/bots/{id}/pause',
        'admin POST /api/bots/{id}/move',
        'any POST /api/bots/{id}/restart',
        'any POST /api/bots/{id}/start',
        'any POST /api/bots/{id}/stop',
        'any POST /api/leases',
        'any POST /api/leases/{id}/extend',
        'public GET /health',
        'public GET /openapi',
      ].sort(),
    );
  });

  it('names every path parameter, and the token where one is needed', async () => {
    const { document, routes } = await setUp();
    for (const { path, method, access } of routes) {
      const operation = document.paths?.[path]?.[method.toLowerCase()] as {
        parameters?: { in: string; name: string }[];
        security: object[];
        responses: Record<string, unknown>;
      };
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const named = (operation.parameters ?? []).filter((found) => found.in === 'path').map((found) => found.name);
      expect(named, path).toEqual(inPath);
      expect(operation.security.length > 0, path).toBe(access !== 'public');
      expect('401' in operation.responses, path).toBe(access !== 'public');
    }
  });
});
