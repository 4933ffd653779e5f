import { expect, it } from 'vitest';
import { homeText, isSameHome } from '../../lib/store/valkey/home.ts';

const two = homeText(
  new Map([
    ['weur', 'the Docker engine unix:///a of machine m'],
    ['enam', 'the Docker engine at tcp://127.0.0.1:2375'],
  ]),
);

it.each([
  { what: 'the same', known: 'x', home: 'x', same: true },
  { what: 'another', known: 'x', home: 'y', same: false },
  { what: 'the same two', known: two, home: two, same: true },
  { what: 'one more', known: two, home: `${two}; sam: the Docker engine at tcp://127.0.0.1:2376`, same: true },
  { what: 'one less', known: two, home: 'weur: the Docker engine unix:///a of machine m; sam: z', same: true },
  { what: 'the same name elsewhere', known: two, home: 'weur: y; enam: z', same: false },
  { what: 'one that got a name', known: 'the Docker engine unix:///a of machine m', home: two, same: true },
  { what: 'one that lost its name', known: two, home: 'the Docker engine unix:///a of machine m', same: true },
  { what: 'one that is not among them', known: 'the Docker engine unix:///b of machine m', home: two, same: false },
])('a home of $what is the same: $same', ({ known, home, same }) => {
  expect(isSameHome(known, home)).toBe(same);
});
