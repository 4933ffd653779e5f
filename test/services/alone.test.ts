import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentObservation, BotObservation, MemorySample, ZygoteObservation } from '../../lib/domain/agent.ts';
import type { World } from '../../lib/planner/world.ts';
import { onePerContainer } from '../../lib/services/alone.ts';
import { AloneSamples } from '../../lib/services/alone-samples.ts';
import { createUsageFiles } from '../../lib/store/usage-files.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { aBot, aContainer, anAgent, aState, aTemplate, aWorld, NOW, observedBot } from '../planner/builders.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

let folder: string;

beforeEach(async () => {
  folder = await makeTempDir();
});
afterEach(() => removeDir(folder));

const store = () => createUsageFiles({ folder, clock: new ManualClock(), log: silentLogger });

const pss = (pssBytes: number): MemorySample => ({
  pssBytes,
  rssBytes: 0,
  privateBytes: 0,
  sharedBytes: 0,
  swapBytes: 0,
});

const ZYGOTE: ZygoteObservation = {
  key: 'k',
  state: 'ready',
  pid: 2,
  reason: '',
  python: '3.13.0',
  modules: 1,
  immortal: true,
  merge: false,
  notes: [],
  starts: 1,
  forks: 1,
  memory: pss(100),
};

/** A bot of that age, in seconds. */
const bot = (id: string, age: number, more: Partial<BotObservation> = {}): BotObservation =>
  observedBot(aBot(id), { startedAt: NOW / 1000 - age, memory: pss(50), ...more });

const agent = (bots: readonly BotObservation[], more: Partial<AgentObservation> = {}): AgentObservation => ({
  ...anAgent(bots),
  overhead: pss(20),
  ...more,
});

function world(agents: Readonly<Record<string, AgentObservation>>, more: Partial<World> = {}): World {
  const ids = Object.values(agents).flatMap(({ bots }) => bots.map((found) => found.bot));
  return aWorld({
    state: aState(
      ids.map((id) => aBot(id)),
      Object.keys(agents).map((name) => aContainer(name)),
    ),
    agents: new Map(Object.entries(agents).map(([name, value]) => [name, { kind: 'seen', value }])),
    ...more,
  });
}

describe('a sample of a bot alone', () => {
  it.each<{ what: string; in: AgentObservation; taken: boolean }>([
    { what: 'one settled bot', in: agent([bot('a', 60)]), taken: true },
    { what: 'one that just started', in: agent([bot('a', 59)]), taken: false },
    { what: 'two bots', in: agent([bot('a', 90), bot('b', 90)]), taken: false },
    {
      what: 'one living and one stopped bot, whose place costs something',
      in: agent([bot('a', 90), bot('b', 90, { pid: null, state: 'stopped' })]),
      taken: false,
    },
    { what: 'a forked bot', in: agent([bot('a', 90, { spawn: { kind: 'prefork', reason: '' } })]), taken: false },
    { what: 'a bot beside a zygote', in: agent([bot('a', 90)], { zygotes: [ZYGOTE] }), taken: false },
    {
      what: 'a bot executed instead of forked',
      in: agent([bot('a', 90, { spawn: { kind: 'exec', reason: 'x' } })]),
      taken: true,
    },
    { what: 'a bot that is not ready', in: agent([bot('a', 90, { state: 'starting' })]), taken: false },
    { what: 'a supervisord not measured yet', in: agent([bot('a', 90)], { overhead: null }), taken: false },
    { what: 'a bot not measured yet', in: agent([bot('a', 90, { memory: null })]), taken: false },
    { what: 'no bot', in: agent([]), taken: false },
  ])('in a container with $what: $taken', ({ in: inside, taken }) => {
    const samples = new AloneSamples(store());
    samples.observe(world({ 'c-1': inside }));
    expect([...samples.all.values()].map(({ pssBytes }) => pssBytes)).toEqual(taken ? [70] : []);
  });

  it('is not taken of an old look that only now seems old enough', () => {
    const samples = new AloneSamples(store());
    const look = agent([bot('a', 30)]);
    samples.observe(world({ 'c-1': look }));
    samples.observe(world({ 'c-1': look }, { now: NOW + 60_000 }));
    expect(samples.all.size).toBe(0);
  });

  it('outlives the supervisor, the newest of each version', async () => {
    const samples = new AloneSamples(store());
    await samples.load();
    samples.observe(world({ 'c-1': agent([bot('a', 90)]) }));
    samples.observe(world({ 'c-2': agent([bot('a', 90, { memory: pss(80) })]) }));
    const v2 = new Map([['echo', aTemplate({ version: 'v2' })]]);
    samples.observe(world({ 'c-1': agent([bot('a', 90, { memory: pss(30) })]) }, { templates: v2 }));
    await samples.write();
    const next = new AloneSamples(store());
    await next.load();
    const at = new Date(NOW).toISOString();
    expect([...next.all.values()]).toEqual([
      { template: 'echo', version: 'v1', pssBytes: 100, container: 'c-2', at },
      { template: 'echo', version: 'v2', pssBytes: 50, container: 'c-1', at },
    ]);
  });
});

describe('what bots would cost one per container', () => {
  const shared = agent([bot('a', 90), bot('b', 90), bot('c', 1)], { zygotes: [ZYGOTE] });

  it('is not known before a sample was taken', () => {
    expect(onePerContainer(world({ 'c-1': shared }), new Map())).toBeNull();
  });

  it('is that of one, times the bots that run', () => {
    const samples = new AloneSamples(store());
    samples.observe(world({ 'c-2': agent([bot('z', 90, { memory: pss(280) })]) }));
    const found = onePerContainer(world({ 'c-1': shared }), samples.all);
    expect(found).toMatchObject({ pssBytes: 900, savedBytes: 900 - (20 + 100 + 150), samples: [{ pssBytes: 300 }] });
  });

  it('is not known of another version of the template, nor when one template was never seen alone', () => {
    const samples = new AloneSamples(store());
    samples.observe(world({ 'c-2': agent([bot('z', 90)]) }));
    const other = new Map([['echo', aTemplate({ version: 'v2' })]]);
    expect(onePerContainer(world({ 'c-1': shared }, { templates: other }), samples.all)).toBeNull();
    const two = world({ 'c-1': shared });
    const foreign = { ...aBot('a'), template: 'other' };
    const mixed = {
      ...two,
      state: { ...two.state, bots: two.state.bots.put('a', foreign) },
      templates: new Map([...two.templates, ['other', aTemplate({ name: 'other' })]]),
    };
    expect(onePerContainer(mixed, samples.all)).toBeNull();
  });

  it('is nothing to talk about while nothing runs', () => {
    const samples = new AloneSamples(store());
    samples.observe(world({ 'c-2': agent([bot('z', 90)]) }));
    expect(onePerContainer(world({ 'c-1': agent([]) }), samples.all)).toBeNull();
  });
});
