import { describe, expect, it } from 'vitest';
import { eventOf, observationOf, statusOf } from '../../../lib/drivers/docker/observation.ts';
import { labelsOf } from '../../../lib/drivers/labels.ts';

const record = { name: 'bh-1', pool: 'a/b/c', generation: 3, capacity: 10, basePort: 9000 };
const info = { Names: ['/bh-1'], Labels: { ...labelsOf(record, 'inst') }, State: 'running', Status: 'Up 2 seconds' };

describe('a listed container', () => {
  it('is what its labels say, reached on loopback', () => {
    expect(observationOf(info)).toEqual({ ...record, host: '127.0.0.1', status: 'running', reason: '' });
  });

  it.each(['bunkhouse.schema', 'bunkhouse.pool', 'bunkhouse.generation', 'bunkhouse.base-port'])(
    'is unknown, and told by name, when its label %s is damaged',
    (label) => {
      const damaged = { ...info, Labels: { ...info.Labels, [label]: undefined as never } };
      expect(observationOf(damaged)).toMatchObject({ name: 'bh-1', status: 'unknown', reason: /docker rm/ });
    },
  );

  it.each([
    ['running', 'running'],
    ['created', 'stopped'],
    ['exited', 'stopped'],
    ['dead', 'stopped'],
    ['paused', 'unknown'],
    ['restarting', 'unknown'],
    ['removing', 'unknown'],
    ['a state of the future', 'unknown'],
  ])('whose state is "%s" is %s', (state, status) => {
    expect(statusOf(state, '').status).toBe(status);
  });
});

describe('an event of the engine', () => {
  const line = (Action: string, Attributes: object = info.Labels): string =>
    JSON.stringify({ Type: 'container', Action, Actor: { ID: 'x', Attributes } });

  it.each([
    ['start', 'started'],
    ['die', 'died'],
    ['destroy', 'removed'],
    ['oom', 'out-of-memory'],
  ])('"%s" means %s', (action, what) => {
    expect(eventOf(line(action))).toEqual({ container: 'bh-1', what });
  });

  it('means nothing when it is of another kind, of no container of ours, or no event at all', () => {
    for (const other of [line('exec_start'), line('start', {}), '{"status":1}', 'null', '{"Act', '']) {
      expect(eventOf(other)).toBeNull();
    }
  });
});
