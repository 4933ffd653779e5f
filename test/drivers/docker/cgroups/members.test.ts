import { describe, expect, it } from 'vitest';
import { type Living, mainOf, membersOf, type Tenant } from '../../../../lib/drivers/docker/cgroups/members.ts';
import { aTemplate } from '../../../planner/builders.ts';

const SUPERVISORD = 500;
const view = { depth: 1, toldAt: 1_000 };
const tenant: Tenant = { slot: 0, pid: 7, uid: 1_009_000, limits: aTemplate().limits };

function living(pid: number, inside: number, facts: Partial<Living> = {}): Living {
  return { pid, parent: SUPERVISORD, uid: 0, start: 100, pids: [pid, inside], cgroups: '', ...facts };
}
const pidsOf = (processes: readonly Living[]): number[] => membersOf(tenant, processes, view).map(({ pid }) => pid);

const init = living(SUPERVISORD, 1, { parent: 400 });
const main = living(507, 7, { uid: tenant.uid });

describe('the processes of a bot', () => {
  it('begin with the one that the container told of, also while it is not yet its slot’s user', () => {
    expect(mainOf(tenant, [init, main], view)).toBe(main);
    expect(pidsOf([init, living(507, 7)])).toEqual([507]);
  });

  it('are not those of a later process with the same number', () => {
    const later = living(507, 7, { start: view.toldAt + 1 });
    expect(mainOf(tenant, [init, later], view)).toBeNull();
    expect(pidsOf([init, later])).toEqual([]);
  });

  it('are found by the number in the container, not by that of the host or of a namespace further inside', () => {
    const namesake = living(7, 90);
    const deeper = living(600, 40, { pids: [600, 40, 7] });
    const stranger = living(601, 0, { pids: [601] });
    expect(pidsOf([init, namesake, deeper, stranger, main])).toEqual([507]);
  });

  it('are all that descend from it, whoever they became, in whatever order they are listed', () => {
    const child = living(510, 10, { parent: 507 });
    const grandchild = living(511, 11, { parent: 510, uid: 65_534 });
    expect(pidsOf([grandchild, child, main, init]).sort()).toEqual([507, 510, 511]);
  });

  it('are those of its uid whose parent is gone, with their children, also when the main one has ended', () => {
    const orphan = living(520, 20, { uid: tenant.uid });
    const child = living(521, 21, { parent: 520 });
    expect(pidsOf([init, orphan, child])).toEqual([520, 521]);
  });

  it('of a fork bomb are found without a look at everybody for each of them', () => {
    let reads = 0;
    const bomb = Array.from({ length: 1000 }, (_, n) => {
      const parent = (): number => {
        reads += 1;
        return 506 + n;
      };
      return Object.defineProperty(living(507 + n, 7 + n), 'parent', { get: parent });
    });
    expect(membersOf(tenant, bomb, view)).toHaveLength(1000);
    expect(reads).toBeLessThan(5000);
  });

  it('are none of a neighbour’s, nor supervisord', () => {
    const neighbour = living(530, 30, { uid: tenant.uid + 1 });
    const helper = living(531, 31);
    expect(pidsOf([init, neighbour, helper, main])).toEqual([507]);
  });

  it('are moved from the oldest on, the main one first, so that what they fork meanwhile is born in place', () => {
    const early = living(505, 5, { uid: tenant.uid, start: 50 });
    const child = living(510, 10, { parent: 507, start: 300 });
    const other = living(509, 9, { uid: tenant.uid, start: 200 });
    expect(pidsOf([child, other, early, main])).toEqual([507, 505, 509, 510]);
  });
});
