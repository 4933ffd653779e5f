import type { ContainerRecord, Emptying } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';
import type { MoveCause } from '../domain/move.ts';
import type { State } from '../domain/state.ts';
import { imageOverride, isOld, isUnderWay, type UpgradeAction, type UpgradeRecord } from '../domain/upgrade.ts';
import type { Change } from '../store/store.ts';
import { isoTime } from '../util/clock.ts';

/** The changes of rolling upgrades and of containers that are emptied, each a pure compare-and-set. Times in ms since the epoch. */

export type UpgradeOrder = Pick<
  UpgradeRecord,
  'template' | 'image' | 'surge' | 'spacingSeconds' | 'failureBudget' | 'holdSeconds'
>;

/** From now on every container that there is of the template is old. The same again while it is under way is a no-op. Throws CONFLICT. */
export function startUpgrade(order: UpgradeOrder, now: number): Change<UpgradeRecord> {
  return (state) => {
    const before = state.upgrades[order.template];
    if (before !== undefined && isUnderWay(before)) {
      if (before.image === order.image && before.status !== 'stopping') return { state, result: before };
      const next = before.status === 'stopping' ? 'wait until it is' : 'abort it first';
      throw new BunkhouseError('CONFLICT', `an upgrade of ${order.template} is ${before.status}; ${next}`);
    }
    const generation = state.generation + 1;
    const upgrade: UpgradeRecord = {
      ...order,
      previousImage: imageOverride(before),
      generation,
      status: 'running',
      moved: 0,
      failures: [],
      begunAt: null,
      startedAt: isoTime(now),
      endedAt: null,
    };
    return { state: closeOld(put({ ...state, generation }, upgrade), upgrade, now), result: upgrade };
  };
}

/**
 * `pause`: no more moves are begun. `resume`: they are again, also after it failed, with a new budget. `abort`: it is taken back;
 * bots that were moved stay where they are. `force`: bots are held back no more. The same again is a no-op. Throws NOT_FOUND, CONFLICT.
 */
export function changeUpgrade(template: string, action: UpgradeAction, now: number): Change<UpgradeRecord> {
  return (state) => {
    const upgrade = findUpgrade(state, template);
    const next = ACTIONS[action](state, upgrade, now);
    return { state: next, result: findUpgrade(next, template) };
  };
}

/** Its last bot has arrived, or is back. */
export function endUpgrade(template: string, now: number): Change<UpgradeRecord | null> {
  return (state) => {
    const upgrade = findUpgrade(state, template);
    const isOver = !state.bots.records.some(({ move }) => isOfUpgrade(move?.cause, template));
    if (!isOver) throw new BunkhouseError('CONFLICT', `bots of ${template} are on their way`);
    const status = END[upgrade.status];
    if (status === undefined) return { state, result: null };
    const ended: UpgradeRecord = { ...upgrade, status, endedAt: isoTime(now) };
    return { state: put(state, ended), result: ended };
  };
}

/** The container is closed, and its bots move out; again sets surge and force. Throws NOT_FOUND, CONFLICT. */
export function drain(name: string, how: { surge: number; force: boolean }, now: number): Change<ContainerRecord> {
  return (state) => {
    const container = findOpen(state, name);
    const since = container.emptying?.why === 'drain' ? container.emptying.since : isoTime(now);
    return mark(state, container, { why: 'drain', since, ...how });
  };
}

/** Open again, unless an upgrade has to empty it. Throws NOT_FOUND, CONFLICT. */
export function undoDrain(name: string, now: number): Change<ContainerRecord> {
  return (state) => {
    const container = findOpen(state, name);
    if (container.emptying?.why !== 'drain') return { state, result: container };
    const upgrade = state.upgrades[container.pool.split('/')[0] ?? ''];
    const isWanted = upgrade !== undefined && upgrade.status !== 'stopping' && isUnderWay(upgrade);
    return mark(
      state,
      container,
      isWanted && isOld(container, upgrade) ? { why: 'upgrade', since: isoTime(now) } : null,
    );
  };
}

/** Its bots fit into others of its pool. Throws CONFLICT when it is emptied already. */
export function beginConsolidation(name: string, now: number): Change<ContainerRecord> {
  return (state) => {
    const container = findOpen(state, name);
    if (container.emptying !== null) throw new BunkhouseError('CONFLICT', `${name} is being emptied already`);
    return mark(state, container, { why: 'consolidate', since: isoTime(now) });
  };
}

/** Its bots do not fit into others any more: they stay. */
export function endConsolidation(name: string): Change<ContainerRecord> {
  return (state) => {
    const container = findOpen(state, name);
    return container.emptying?.why === 'consolidate' ? mark(state, container, null) : { state, result: container };
  };
}

/** What is to be noted with the beginning of a move, in the same change. */
export function noteMoveBegun(state: State, cause: MoveCause, now: number): State {
  if (cause.kind === 'consolidate') return { ...state, consolidatedAt: now };
  const upgrade = cause.kind === 'upgrade' ? state.upgrades[cause.template] : undefined;
  return upgrade === undefined ? state : put(state, { ...upgrade, begunAt: isoTime(now) });
}

/** What is to be noted with the end of a move, in the same change. `failure`: why the bot went back; null: it has arrived. */
export function noteMoveEnded(state: State, bot: string, cause: MoveCause, failure: string | null, now: number): State {
  const upgrade = cause.kind === 'upgrade' ? state.upgrades[cause.template] : undefined;
  if (upgrade === undefined) return state;
  if (failure === null) return put(state, { ...upgrade, moved: upgrade.moved + 1 });
  const failures = [...upgrade.failures, { bot, why: failure, at: isoTime(now) }];
  const isSpent = failures.length > upgrade.failureBudget && upgrade.status !== 'stopping' && isUnderWay(upgrade);
  if (!isSpent) return put(state, { ...upgrade, failures });
  return openOld(put(state, { ...upgrade, failures, status: 'failed', endedAt: isoTime(now) }), upgrade);
}

// Private

const END: Readonly<Partial<Record<UpgradeRecord['status'], UpgradeRecord['status']>>> = {
  running: 'done',
  stopping: 'aborted',
};

type Act = (state: State, upgrade: UpgradeRecord, now: number) => State;

const ACTIONS: Readonly<Record<UpgradeAction, Act>> = {
  pause(state, upgrade) {
    if (upgrade.status === 'paused') return state;
    if (upgrade.status !== 'running') throw isNot(upgrade, 'running');
    return put(state, { ...upgrade, status: 'paused' });
  },
  resume(state, upgrade, now) {
    if (upgrade.status === 'running') return state;
    if (upgrade.status === 'paused') return put(state, { ...upgrade, status: 'running' });
    if (upgrade.status !== 'failed') throw isNot(upgrade, 'paused or failed');
    const again: UpgradeRecord = { ...upgrade, status: 'running', failures: [], endedAt: null };
    return closeOld(put(state, again), again, now);
  },
  abort(state, upgrade) {
    if (upgrade.status === 'stopping' || upgrade.status === 'aborted') return state;
    if (!isUnderWay(upgrade)) throw isNot(upgrade, 'under way');
    return openOld(put(state, { ...upgrade, status: 'stopping' }), upgrade);
  },
  force(state, upgrade) {
    if (!isUnderWay(upgrade)) throw isNot(upgrade, 'under way');
    return put(state, { ...upgrade, holdSeconds: 0 });
  },
};

function isNot({ template, status }: UpgradeRecord, what: string): BunkhouseError {
  return new BunkhouseError('CONFLICT', `the upgrade of ${template} is ${status}, not ${what}`);
}

const isOfUpgrade = (cause: MoveCause | undefined, template: string): boolean =>
  cause?.kind === 'upgrade' && cause.template === template;

function findUpgrade({ upgrades }: State, template: string): UpgradeRecord {
  const upgrade = Object.hasOwn(upgrades, template) ? upgrades[template] : undefined;
  if (upgrade !== undefined) return upgrade;
  throw new BunkhouseError('NOT_FOUND', `there is no upgrade of ${template}`);
}

function findOpen({ containers }: State, name: string): ContainerRecord {
  const container = Object.hasOwn(containers, name) ? containers[name] : undefined;
  if (container === undefined) throw new BunkhouseError('NOT_FOUND', `there is no container ${name}`);
  if (container.removing) throw new BunkhouseError('CONFLICT', `${name} is being removed`);
  return container;
}

const put = (state: State, upgrade: UpgradeRecord): State => ({
  ...state,
  upgrades: { ...state.upgrades, [upgrade.template]: upgrade },
});

function mark(
  state: State,
  container: ContainerRecord,
  emptying: Emptying | null,
): { readonly state: State; readonly result: ContainerRecord } {
  const result: ContainerRecord = { ...container, emptying };
  return { state: { ...state, containers: { ...state.containers, [container.name]: result } }, result };
}

/** A drained one stays so. */
function closeOld(state: State, upgrade: UpgradeRecord, now: number): State {
  const old = Object.values(state.containers).filter(
    (container) => isOld(container, upgrade) && !container.removing && container.emptying?.why !== 'drain',
  );
  const since = isoTime(now);
  return old.reduce((next, container) => mark(next, container, { why: 'upgrade', since }).state, state);
}

function openOld(state: State, upgrade: UpgradeRecord): State {
  const closed = Object.values(state.containers).filter(
    (container) => isOld(container, upgrade) && container.emptying?.why === 'upgrade',
  );
  return closed.reduce((next, container) => mark(next, container, null).state, state);
}
