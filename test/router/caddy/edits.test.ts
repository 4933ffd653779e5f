import { describe, expect, it } from 'vitest';
import { type Edit, type Json, nextEdit, type Wanted } from '../../../lib/router/caddy/edits.ts';

const WANTED: Wanted = {
  name: 'ours',
  hosts: ['a.example.org', 'b.example.org'],
  httpsPort: 443,
  dial: '127.0.0.1:4000',
  acme: { baseDomain: 'example.org', directory: 'https://acme.example/dir', email: null, caFile: '/ca.pem' },
};
const NOTHING: Wanted = { ...WANTED, hosts: [], acme: null };

/** What Caddy makes of an edit: PUT is for what is not there, PATCH for what is, and all above it must be there. */
function apply(config: Json, edit: Edit): Json {
  const root = { config: structuredClone(config) as unknown };
  const keys = ['config', ...edit.path.split('/').filter((key) => key !== '')].map(decodeURIComponent);
  const last = keys.pop() ?? '';
  const parent = keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], root);
  if (typeof parent !== 'object' || parent === null) throw new Error(`nothing above ${edit.path}`);
  if (Array.isArray(parent)) inArray(parent, Number(last), edit);
  else inObject(parent as Record<string, unknown>, last, edit);
  return root.config as Json;
}

function inArray(array: unknown[], index: number, { method, value }: Edit): void {
  array.splice(index, method === 'PUT' ? 0 : 1, ...(method === 'DELETE' ? [] : [value]));
}

function inObject(object: Record<string, unknown>, key: string, { method, path, value }: Edit): void {
  if (method === 'PUT' && key in object) throw new Error(`${path} is there already`);
  if (method !== 'PUT' && method !== 'POST' && !(key in object)) throw new Error(`${path} is not there`);
  if (method === 'DELETE') delete object[key];
  else object[key] = value;
}

function settle(config: Json, wanted: Wanted): { config: Json; edits: number } {
  let now = config;
  for (let edits = 0; ; edits++) {
    const edit = nextEdit(now, wanted);
    if (edit === null) return { config: now, edits };
    if (edits > 5) throw new Error('it does not come to rest');
    now = apply(now, edit);
  }
}

const operators = { listen: [':8443'], routes: [{ '@id': 'theirs' }] };

describe("edits of Caddy's configuration", () => {
  it.each<[string, Json, number]>([
    ['is empty', null, 2],
    ['has no apps', { admin: { disabled: false } }, 2],
    ['has apps that are nothing', { apps: null }, 2],
    ['has no server', { apps: { http: {} } }, 2],
    ['has servers that are nothing', { apps: { http: { servers: null } } }, 2],
    ['has a server of the operator', { apps: { http: { servers: { srv0: operators } } } }, 2],
    ['has policies of the operator', { apps: { tls: { automation: { policies: [{ subjects: ['x'] }] } } } }, 2],
    [
      'has an older server of ours',
      { apps: { http: { servers: { ours: { '@id': 'ours-server', listen: [] }, srv0: operators } } } },
      2,
    ],
    ['has policies that are nothing', { apps: { tls: { automation: { policies: null } } } }, 2],
  ])('reach what is wanted where it %s, and rest there', (_, config, edits) => {
    const settled = settle(config, WANTED);
    expect(settled.edits).toBe(edits);
    expect(JSON.stringify(settled.config)).toContain('a.example.org');
    expect(JSON.stringify(settled.config)).toContain('"subjects":["*.example.org"]');
    expect(settle(settled.config, WANTED).edits).toBe(0);
  });

  it('leave all that is not ours as it is, and take nothing but ours away again', () => {
    const config: Json = {
      admin: { listen: 'unix//x' },
      apps: {
        http: { http_port: 8080, servers: { srv0: operators } },
        tls: { automation: { policies: [{ issuers: [{ module: 'internal' }] }] }, certificates: { automate: ['x'] } },
      },
    };
    const there = settle(config, WANTED);
    expect(settle(there.config, NOTHING)).toEqual({ config, edits: 2 });
  });

  it('are none to a server of the operator that is called as ours would be', () => {
    const config: Json = { apps: { http: { servers: { ours: operators } } } };
    expect(() => nextEdit(config, { ...WANTED, acme: null })).toThrow('INSTANCE_NAME');
    expect(nextEdit(config, NOTHING)).toBe(null);
  });

  it('put our policy before one of the operator that fits all names, and change it in its place', () => {
    const config: Json = { apps: { tls: { automation: { policies: [{ issuers: [] }] } } } };
    const policies = (of: Json) =>
      (of as typeof config & { apps: { tls: { automation: { policies: { '@id'?: string }[] } } } }).apps.tls.automation
        .policies;
    const there = settle(config, WANTED).config;
    expect(policies(there).map((policy) => policy['@id'])).toEqual(['ours-tls', undefined]);
    const moved: Wanted = {
      ...WANTED,
      acme: { ...(WANTED.acme as NonNullable<Wanted['acme']>), directory: 'https://other.example/' },
    };
    const again = settle(there, moved);
    expect(again.edits).toBe(1);
    expect(policies(again.config)).toHaveLength(2);
    expect(JSON.stringify(again.config)).toContain('other.example');
  });

  it('are one for each change of the names', () => {
    const there = settle(null, WANTED).config;
    expect(nextEdit(there, { ...WANTED, hosts: ['a.example.org'] })).toMatchObject({
      method: 'PATCH',
      path: '/apps/http/servers/ours',
    });
  });
});
