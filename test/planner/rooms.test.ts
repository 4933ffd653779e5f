import { describe, expect, it } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import type { Destination, Move } from '../../lib/domain/move.ts';
import { Rooms, type Search } from '../../lib/planner/rooms.ts';
import type { World } from '../../lib/planner/world.ts';
import { aBot, aContainer, aState, aWorld, inSlot, NOW } from './builders.ts';

const one = aContainer('one', { basePort: 9000 });
const two = aContainer('two', { basePort: 9010 });
const own = aContainer('own', { basePort: 9020, capacity: 1, soleBot: 'a' });
const far = aContainer('far', { basePort: 9030, pool: 'echo/default/weur' });
const emptying = { why: 'drain', since: '2026-01-01T00:00:00.000Z', surge: 1, force: false } as const;
const legacy = { cause: 'asked', why: 'the request', since: '2026-01-01T00:00:00.000Z' } as const;

const worldOf = (containers: readonly ContainerRecord[], bots: readonly BotRecord[] = []): World =>
  aWorld({ state: aState(bots, containers) });

/** Where it goes, `new` for a container that must be made, or why nowhere. */
function outcome(search: Search): string {
  if (search.kind !== 'found') return search.why;
  const [step] = search.steps;
  if (step?.kind !== 'recordContainer') return `${search.placement.container}/${search.placement.slot}`;
  const { capacity, soleBot, pool } = step.container;
  return `new of ${capacity} for ${soleBot ?? pool}`;
}

describe('a slot for a bot', () => {
  const here = aBot('a', { placement: inSlot(one, 0) });
  const alone = aBot('a', { placement: inSlot(own, 0), legacy });
  const to = (name: string): Destination => ({ kind: 'container', container: name });
  const full = [0, 1, 2].map((slot) => aBot(`f${slot}`, { placement: inSlot(two, slot) }));

  it.each<[string, readonly ContainerRecord[], readonly BotRecord[], BotRecord, Destination, string]>([
    ['in another container of its pool', [one, two], [here], here, { kind: 'pool' }, 'two/0'],
    ['in a new one, when there is no other', [one], [here], here, { kind: 'pool' }, 'new of 3 for echo/default/local'],
    [
      'not where others move out',
      [one, { ...two, emptying }],
      [here],
      here,
      { kind: 'pool' },
      'new of 3 for echo/default/local',
    ],
    [
      'not where the container goes',
      [one, { ...two, removing: true }],
      [here],
      here,
      { kind: 'pool' },
      'new of 3 for echo/default/local',
    ],
    ['not where another is alone', [own], [], aBot('b'), { kind: 'pool' }, 'new of 3 for echo/default/local'],
    ['for itself, not in its own any more', [own, one], [alone], alone, { kind: 'pool' }, 'one/0'],
    ['alone', [one], [here], here, { kind: 'alone' }, 'new of 1 for a'],
    ['alone, where that was made before', [one, own], [here], here, { kind: 'alone' }, 'own/0'],
    ['alone again, elsewhere', [own], [alone], alone, { kind: 'alone' }, 'new of 1 for a'],
    ['in another location', [one, far], [here], here, { kind: 'location', location: 'weur' }, 'far/0'],
    ['alone in another location', [own, far], [alone], alone, { kind: 'location', location: 'weur' }, 'new of 1 for a'],
    ['in a container by name', [one, two], [here], here, to('two'), 'two/0'],
    ['in a container by name, elsewhere', [one, far], [here], here, to('far'), 'far/0'],
    ['in none that is not there', [one], [here], here, to('two'), 'there is no container two to go to'],
    ['in none where it is', [one], [here], here, to('one'), 'is in one already'],
    [
      'in none of another pool',
      [one, { ...two, pool: 'other/default/local' }],
      [here],
      here,
      to('two'),
      'two is of another template or group',
    ],
    ['in none that is full', [one, two], [here, ...full], here, to('two'), 'two is full'],
    ['in none that is emptied', [one, { ...two, emptying }], [here], here, to('two'), 'two is being emptied'],
    ["in none that is another's", [own], [], aBot('b'), to('own'), "own is another bot's alone"],
  ])('%s', (_, containers, bots, bot, destination, expected) => {
    expect(outcome(new Rooms(worldOf(containers, bots)).find(bot, destination))).toBe(expected);
  });

  it('is nobody else’s once found, nor while a bot that left it may come back', () => {
    const move = { other: { placement: inSlot(one, 0), location: 'local', legacy: null } } as Move;
    const rooms = new Rooms(worldOf([one, two], [aBot('gone', { placement: inSlot(two, 0), move })]));
    const found = ['b', 'c', 'd', 'e', 'f'].map((id) => outcome(rooms.find(aBot(id), { kind: 'pool' })));
    expect(found).toEqual(['one/1', 'one/2', 'two/1', 'two/2', 'new of 3 for echo/default/local']);
  });

  it('is told from none for want of ports', () => {
    const world = aWorld({ limits: { ...aWorld().limits, basePort: 65_534 } });
    const rooms = new Rooms(world);
    expect(rooms.find(aBot('a'), { kind: 'pool' }).kind).toBe('noPorts');
    expect(outcome(rooms.find(aBot('a'), { kind: 'alone' }))).toBe('new of 1 for a');
  });

  it('is not looked for where nobody can look', () => {
    const world = { ...worldOf([far]), unreachable: new Map([['weur', 'no way to weur']]) };
    for (const wish of [to('far'), { kind: 'location', location: 'weur' } as const])
      expect(outcome(new Rooms(world).find(aBot('a'), wish))).toBe('no way to weur');
  });

  it('is waited for in a container of its own that fails to come, instead of making another', () => {
    const holds = new Map([['container own', { until: NOW + 1, reason: 'no image' }]]);
    const rooms = new Rooms({ ...worldOf([own]), holds });
    expect(outcome(rooms.find(aBot('a', { legacy }), { kind: 'alone' }))).toBe('own/0');
  });
});
