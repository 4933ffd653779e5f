import { describe, expect, it } from 'vitest';
import { SingleFlight } from '../../lib/util/single-flight.ts';

interface Gate {
  readonly open: () => void;
  readonly passed: Promise<void>;
}

function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, passed: promise };
}

describe('SingleFlight', () => {
  it('folds requests during a run into one more run that begins after them', async () => {
    const gates = [gate(), gate()];
    let runs = 0;
    const flight = new SingleFlight(async () => {
      runs += 1;
      await gates[runs - 1]?.passed;
    });
    const first = flight.run();
    const second = flight.run();
    const third = flight.run();
    expect(runs).toBe(1);
    gates[0]?.open();
    await first;
    gates[1]?.open();
    await Promise.all([second, third]);
    expect(runs).toBe(2);
  });

  it('never runs two jobs at the same time', async () => {
    let active = 0;
    let most = 0;
    const flight = new SingleFlight(async () => {
      active += 1;
      most = Math.max(most, active);
      await new Promise((resolve) => setTimeout(resolve, 1));
      active -= 1;
    });
    const asked: Promise<void>[] = [];
    for (let index = 0; index < 50; index++) {
      asked.push(flight.run());
      if (index % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(asked);
    await flight.idle();
    expect(most).toBe(1);
  });

  it('rests before a run when it is told to, and folds what comes meanwhile', async () => {
    const rest = gate();
    let runs = 0;
    const flight = new SingleFlight(
      async () => {
        runs += 1;
      },
      () => (runs === 0 ? null : rest.passed),
    );
    const asked = [flight.run(), flight.run()];
    expect(runs).toBe(1);
    await asked[0];
    asked.push(flight.run(), flight.run());
    rest.open();
    await Promise.all(asked);
    expect(runs).toBe(2);
  });

  it('rests also when the last run ended before', async () => {
    const rest = gate();
    let runs = 0;
    const flight = new SingleFlight(
      async () => {
        runs += 1;
      },
      () => (runs === 0 ? null : rest.passed),
    );
    await flight.run();
    const second = flight.run();
    expect([runs, flight.active]).toEqual([1, true]);
    rest.open();
    await second;
    expect([runs, flight.active]).toEqual([2, false]);
  });

  it('goes on after a run that failed', async () => {
    let runs = 0;
    const flight = new SingleFlight(async () => {
      runs += 1;
      if (runs === 1) throw new Error('first');
    });
    await expect(flight.run()).rejects.toThrow('first');
    await flight.run();
    expect(runs).toBe(2);
    expect(flight.active).toBe(false);
  });
});
