import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { HttpError, InvalidRequest, problemOf, problemSchema, STATUS } from '../../lib/http/problem.ts';

describe('problem documents', () => {
  it('have one status for each code, all of them errors', () => {
    for (const code of problemSchema.shape.code.options) expect(STATUS[code]).toBeGreaterThanOrEqual(400);
  });

  it('carry code, sentence and what helps', () => {
    const error = new BunkhouseError('POOL_EXHAUSTED', 'No room. Add a container.', {
      retryAfterSeconds: 1.2,
      details: { capacity: 10 },
    });
    const { problem, headers } = problemOf(error, 'r1');
    expect(problem).toEqual({
      type: 'urn:bunkhouse:problem:pool-exhausted',
      title: 'Service Unavailable',
      status: 503,
      detail: 'No room. Add a container.',
      code: 'POOL_EXHAUSTED',
      instance: 'urn:uuid:r1',
      details: { capacity: 10 },
    });
    expect(headers).toEqual({ 'Content-Type': 'application/problem+json', 'Retry-After': '2' });
  });

  it('list every fault of a request', () => {
    const { problem } = problemOf(new InvalidRequest([{ path: 'a', message: 'is odd' }]), 'r1');
    expect(problem).toMatchObject({ code: 'INVALID', status: 400, errors: [{ path: 'a', message: 'is odd' }] });
  });

  it('say how to log in and which methods there are', () => {
    expect(problemOf(new BunkhouseError('UNAUTHORIZED', 'no'), 'r').headers).toHaveProperty('WWW-Authenticate');
    expect(problemOf(new HttpError('METHOD_NOT_ALLOWED', 'no', { Allow: 'GET' }), 'r').headers).toMatchObject({
      Allow: 'GET',
    });
  });

  it.each([
    new Error('password=hunter2 at /srv/secret'),
    new BunkhouseError('INTERNAL', 'password=hunter2', { details: { password: 'hunter2' } }),
    'hunter2',
  ])('tell nothing of what is not meant for callers', (error) => {
    const { problem } = problemOf(error, 'r1');
    expect(problem).toMatchObject({ code: 'INTERNAL', status: 500 });
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });
});
