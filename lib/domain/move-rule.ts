/** What bots of a template have to show when they are moved to another container. */
export interface MoveRule {
  /** Seconds they have to become well in their new place and show their facts there; null: their time to start and a minute. */
  readonly deadlineSeconds: number | null;
  /** Sent with every question. */
  readonly headers: Readonly<Record<string, string>>;
  /** By name: what a bot is asked before it is stopped, and again in its new place. */
  readonly facts: Readonly<Record<string, Fact>>;
}

/**
 * A fact is made of answers, asked for in this order. `same`: what was answered must be answered again. `sum` and `max`: of all
 * numbers; may grow, because a bot goes on until it is stopped, but not fall.
 */
export interface Fact {
  readonly kind: 'same' | 'sum' | 'max';
  readonly from: readonly FactSource[];
}

export interface FactSource {
  readonly path: string;
  /** JSON pointer into the answer; a part `*` stands for every item of a list. */
  readonly pointer: string;
  /** `count`: how many values there are, not what they are. */
  readonly take: 'value' | 'count';
}

/** Seconds that a bot has to become well, when its template does not say. */
export const SLACK_SECONDS = 60;

/** Everything at the pointer. Empty when there is nothing. */
export function pick(answer: unknown, pointer: string): readonly unknown[] {
  const parts = pointer.split('/').slice(1);
  return parts.reduce<readonly unknown[]>((found, part) => found.flatMap((value) => inside(value, part)), [answer]);
}

/** What a fact is, from the values of each of its sources. Null: they do not make one. */
export function factOf({ kind, from }: Fact, values: readonly (readonly unknown[])[]): string | null {
  const taken = from.flatMap(({ take }, index) =>
    take === 'count' ? [values[index]?.length ?? 0] : (values[index] ?? []),
  );
  if (kind === 'same') return JSON.stringify(taken);
  const numbers = taken.filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  if (numbers.length < taken.length) return null;
  return String(kind === 'sum' ? numbers.reduce((sum, value) => sum + value, 0) : Math.max(0, ...numbers));
}

/** What of it is lacking, as a sentence; null: all is there. */
export function lackingOf(
  rules: MoveRule['facts'],
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string | null {
  for (const [name, { kind }] of Object.entries(rules)) {
    const [was, is] = [before[name], now[name]];
    // A template that changed meanwhile may ask what was not asked before.
    if (was === undefined) continue;
    const holds = is !== undefined && (kind === 'same' ? is === was : Number(is) >= Number(was));
    if (!holds) return `${name} was ${was} before and is ${is ?? 'not known'} now`;
  }
  return null;
}

// Private

function inside(value: unknown, part: string): readonly unknown[] {
  if (part === '*') return Array.isArray(value) ? value : [];
  const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return [];
  return [Reflect.get(value, key)];
}
