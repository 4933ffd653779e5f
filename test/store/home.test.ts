import { describe, expect, it } from 'vitest';
import { hasCode } from '../../lib/domain/errors.ts';
import { homeText, occupiedBy, settleHome } from '../../lib/store/home.ts';

const A = 'the Docker engine unix:///a of machine m';
const B = 'the Docker engine at tcp://127.0.0.1:2375';
const C = 'the Docker engine at tcp://127.0.0.1:2376';
const text = (places: Readonly<Record<string, string>>): string => homeText(new Map(Object.entries(places)));
const two = text({ weur: A, enam: B });

function settle(known: string | null, home: string, occupied: readonly string[]): string {
  return settleHome({ known, home, occupied: new Set(occupied), state: '/state.json' });
}

describe('the home of a state', () => {
  it.each([
    { what: 'that says nothing', known: null, home: A, noted: A },
    { what: 'that is the same', known: A, home: A, noted: A },
    { what: 'that is the same two', known: two, home: two, noted: two },
    { what: 'that gets one more', known: two, home: `${two}; sam: ${C}`, noted: `${two}; sam: ${C}` },
    { what: 'that loses one is still there', known: two, home: text({ weur: A }), noted: two },
    { what: 'that gets a name', known: A, home: two, noted: two },
    { what: 'that loses its name', known: two, home: A, noted: A },
    { what: 'that is to be forgotten', known: two, home: '', noted: '' },
  ])('$what: $noted', ({ known, home, noted }) => {
    expect(settle(known, home, ['weur', 'enam'])).toBe(noted);
  });

  it.each([
    { what: 'elsewhere', known: A, home: B },
    { what: 'the same name elsewhere', known: two, home: text({ weur: C, enam: B }) },
    { what: 'the same two the other way round', known: two, home: text({ weur: B, enam: A }) },
    { what: 'not among them', known: C, home: two },
  ])('$what is refused, with both and the way out', ({ known, home }) => {
    const refused = (): string => settle(known, home, ['weur', 'enam']);
    expect(refused).toThrow(known);
    expect(refused).toThrow(home);
    expect(refused).toThrow('bunkhouse state rehome');
    expect(refused).toThrow(expect.toSatisfy((error: unknown) => hasCode(error, 'CONFLICT')));
  });

  it('may be anywhere while there are no containers, and each location while it has none', () => {
    expect(settle(A, B, [])).toBe(B);
    expect(settle(two, text({ weur: A, enam: C }), ['weur'])).toBe(text({ weur: A, enam: C }));
  });

  it('remembers a location that was taken away, until it has no containers', () => {
    const without = settle(two, text({ weur: A }), ['weur', 'enam']);
    expect(() => settle(without, text({ weur: A, enam: C }), ['weur', 'enam'])).toThrow('twice');
    expect(settle(without, text({ weur: A, enam: C }), ['weur'])).toBe(text({ weur: A, enam: C }));
  });
});

it('locations with containers are those of their pools', () => {
  expect([...occupiedBy([{ pool: 't/g/weur' }, { pool: 't/h/weur' }, { pool: 't/g/sam' }])]).toEqual(['weur', 'sam']);
});
