import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../../lib/domain/errors.ts';
import { engineError, takenPort } from '../../../lib/drivers/docker/errors.ts';

/** As the client makes them of the engine's answers. */
const answer = (statusCode: number, text: string): Error =>
  Object.assign(new Error(`(HTTP code ${statusCode}) server error - ${text} `), { statusCode });
const broken = (code: string): Error => Object.assign(new Error(`connect ${code} /nowhere.sock`), { code });

/** Both as said by Docker 20.10. */
const BY_A_CONTAINER =
  'driver failed programming external connectivity on endpoint x (93): Bind for 127.0.0.1:23000 failed: port is already allocated';
const BY_A_PROCESS =
  'driver failed programming external connectivity on endpoint x (93): Error starting userland proxy: listen tcp4 127.0.0.1:23000: bind: address already in use';

describe('an error of the engine', () => {
  it.each([BY_A_CONTAINER, BY_A_PROCESS])('names the port that is taken: %s', (text) => {
    expect(takenPort(text)).toBe(23_000);
    expect(engineError(answer(500, text), 'start c')).toMatchObject({
      code: 'PORT_IN_USE',
      details: { port: 23_000 },
    });
  });

  it.each([
    ['ENOENT', /start Docker/],
    ['ECONNREFUSED', /start Docker/],
    ['EACCES', /group "docker"/],
    ['ECONNRESET', /whether Docker is alive/],
    ['EWHATEVER', /whether Docker is alive/],
  ])('on the way (%s) is DRIVER_UNAVAILABLE with advice', (code, advice) => {
    expect(engineError(broken(code), 'list containers')).toMatchObject({
      code: 'DRIVER_UNAVAILABLE',
      message: expect.stringMatching(advice),
    });
  });

  it('that is a "not now" is DRIVER_UNAVAILABLE', () => {
    expect(engineError(answer(503, 'shutting down'), 'list containers').code).toBe('DRIVER_UNAVAILABLE');
  });

  it('of another kind keeps the engine’s own words', () => {
    expect(engineError(answer(500, 'no space left on device'), 'start c')).toMatchObject({
      code: 'INTERNAL',
      message: 'the Docker engine could not start c: no space left on device',
    });
  });

  it('that is one of ours already stays what it is', () => {
    const ours = new BunkhouseError('CONFLICT', 'x');
    expect(engineError(ours, 'start c')).toBe(ours);
  });
});
