import { describe, expect, it } from 'vitest';
import { compatTemplates, compatWarnings } from '../../lib/config/compat.ts';
import { loadConfig } from '../../lib/config/config.ts';
import type { Config } from '../../lib/config/settings.ts';
import { aTemplate } from '../planner/builders.ts';
import { leasedTemplate } from '../services/system.ts';

const load = (env: Record<string, string>): Config => loadConfig(env, { envFile: '/none', root: true }).config;
const TEMPLATES = new Map([
  ['shop', leasedTemplate({}, { name: 'shop' })],
  ['plain', aTemplate({ name: 'plain' })],
]);

describe('names of other systems', () => {
  it('are off, and on with their template', () => {
    expect(compatTemplates(load({}), TEMPLATES)).toEqual({ site: null, container: null, demo: null });
    const config = load({ COMPAT_DEMO_TEMPLATE: 'shop', COMPAT_WORDPRESS_TEMPLATE: 'shop' });
    expect(compatTemplates(config, TEMPLATES)).toEqual({ site: 'shop', container: null, demo: 'shop' });
  });

  it('need a template that is handed out on lease', () => {
    const of = (name: string) => () => compatTemplates(load({ COMPAT_SITE_TEMPLATE: name }), TEMPLATES);
    expect(of('plain')).toThrow('COMPAT_SITE_TEMPLATE: template plain has no lease');
    expect(of('nothing')).toThrow('COMPAT_SITE_TEMPLATE: there is no template nothing');
  });

  it('are public one by one', () => {
    const env = { COMPAT_DEMO_TEMPLATE: 'shop', COMPAT_CONTAINER_TEMPLATE: 'shop' };
    expect(load({ ...env, COMPAT_PUBLIC: 'demo=10, container=600' }).compatPublic).toEqual(
      new Map([
        ['demo', 10],
        ['container', 600],
      ]),
    );
  });

  it('warn when visitors could get what they cannot open', () => {
    const env = { COMPAT_DEMO_TEMPLATE: 'shop', COMPAT_PUBLIC: 'demo=10' };
    const open = leasedTemplate({}, { name: 'shop', proxy: { public: true, headers: {}, query: {} } });
    expect(compatWarnings(load(env), TEMPLATES)).toEqual([
      'COMPAT_PUBLIC: who gets a demo without a token cannot open it: set BASE_DOMAIN, and proxy.public in template shop',
    ]);
    const named = load({ ...env, BASE_DOMAIN: 'shops.test' });
    expect(compatWarnings(named, TEMPLATES)).toHaveLength(1);
    expect(compatWarnings(named, new Map([['shop', open]]))).toEqual([]);
    expect(compatWarnings(load({ COMPAT_DEMO_TEMPLATE: 'shop' }), TEMPLATES)).toEqual([]);
  });

  it.each([
    { COMPAT_PUBLIC: 'demo' },
    { COMPAT_PUBLIC: 'demo=0' },
    { COMPAT_PUBLIC: 'demo=' },
    { COMPAT_PUBLIC: 'demo=1.5' },
    { COMPAT_PUBLIC: 'demo=ten' },
    { COMPAT_PUBLIC: 'demo=1,demo=2' },
    { COMPAT_PUBLIC: 'all=1' },
    { COMPAT_PUBLIC: 'site=5' },
    { COMPAT_DEMO_ADMIN_PATH: '/admin' },
    { COMPAT_DEMO_ADMIN_PATH: 'a?b' },
  ])('refuse %o', (env) => {
    expect(() => load({ COMPAT_DEMO_TEMPLATE: 'shop', ...env })).toThrow(/COMPAT_/);
  });
});
