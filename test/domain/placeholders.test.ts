import { describe, expect, it } from 'vitest';
import { PLACEHOLDER_FORMS, parsePlaceholders, SERVICE_PLACEHOLDER_FORMS } from '../../lib/domain/placeholders.ts';

describe('placeholders', () => {
  it('of every allowed form are understood, in order', () => {
    const forms = [...PLACEHOLDER_FORMS, ...SERVICE_PLACEHOLDER_FORMS];
    const text = forms.join('/').replace('service.NAME', 'service.a-db');
    expect(parsePlaceholders(text).map(({ placeholder }) => placeholder)).toEqual([
      ...['id', 'owner', 'port', 'host', 'desired'].map((name) => ({ kind: 'value', name })),
      { kind: 'secret', secret: 'NAME' },
      { kind: 'basic', user: 'USER', secret: 'NAME' },
      { kind: 'socketPlace', service: 'a-db' },
      { kind: 'ownPlace', part: 'dir' },
      { kind: 'ownPlace', part: 'run' },
    ]);
  });

  it('may have blanks inside', () => {
    expect(parsePlaceholders('{{ secret.a-b_1 }}')).toEqual([
      { text: '{{ secret.a-b_1 }}', placeholder: { kind: 'secret', secret: 'a-b_1' } },
    ]);
  });

  it.each([
    '{{}}',
    '{{Id}}',
    '{{id.x}}',
    '{{secret}}',
    '{{secret.}}',
    '{{secret.a.b}}',
    '{{basic.a}}',
    '{{secret.1}}',
    '{{service}}',
    '{{service.db}}',
    '{{service.db.dir}}',
    '{{service.DB.run}}',
    '{{service..run}}',
    '{{service.a.b.run}}',
    '{{a b}}',
    '{{id',
    '{{{id}}',
    '{{constructor}}',
  ])('of no allowed form are found, but not understood: %s', (text) => {
    const [first] = parsePlaceholders(`before ${text}`);
    expect(first).toMatchObject({ placeholder: null, text: expect.stringMatching(/^\{\{/) });
  });

  it.each(['', 'text', '{ {id} }', '{id}', '}} {', '{"a":{"b":1}}'])('are none in %j', (text) => {
    expect(parsePlaceholders(text)).toEqual([]);
  });
});
