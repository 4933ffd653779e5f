import { type ContainerRecord, LABEL, LABEL_SCHEMA } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { CONTAINER_NAME } from '../domain/ids.ts';

export type Labels = Readonly<Record<string, string>>;

/** What labels say about a container of ours. */
export type Labelled = Pick<ContainerRecord, 'name' | 'pool' | 'generation' | 'capacity' | 'basePort'> & {
  readonly installation: string;
};

type Range = Pick<ContainerRecord, 'basePort' | 'capacity'>;

/** Labels of a container: the truth about it, also when the store is lost. */
export function labelsOf(record: Omit<Labelled, 'installation'>, installation: string): Labels {
  return {
    [LABEL.instance]: installation,
    [LABEL.container]: record.name,
    [LABEL.pool]: record.pool,
    [LABEL.generation]: String(record.generation),
    [LABEL.schema]: LABEL_SCHEMA,
    [LABEL.basePort]: String(record.basePort),
    [LABEL.capacity]: String(record.capacity),
  };
}

/** Reads them back; a sentence when they are not such labels. */
export function readLabels(labels: Labels): Labelled | string {
  const schema = labels[LABEL.schema];
  if (schema !== LABEL_SCHEMA) return `its label ${LABEL.schema} is ${schema ?? 'missing'}, not ${LABEL_SCHEMA}`;
  const name = labels[LABEL.container] ?? '';
  if (!CONTAINER_NAME.test(name)) return `its label ${LABEL.container} is no name of a container`;
  const numbers = [LABEL.generation, LABEL.basePort, LABEL.capacity].map((label) => Number(labels[label]));
  const [generation, basePort, capacity] = numbers as [number, number, number];
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) {
    return `its labels ${LABEL.generation}, ${LABEL.basePort} and ${LABEL.capacity} are not all numbers`;
  }
  const installation = labels[LABEL.instance];
  const pool = labels[LABEL.pool];
  if (installation === undefined || pool === undefined) return `it lacks the label ${LABEL.instance} or ${LABEL.pool}`;
  return { installation, name, pool, generation, capacity, basePort };
}

export function sameRange(known: Range, record: Range): boolean {
  return known.basePort === record.basePort && known.capacity === record.capacity;
}

/** A running container cannot change its range or pool. Throws CONFLICT. */
export function assertSame(
  known: Range & { readonly pool: string },
  record: Range & { readonly pool: string; readonly name: string },
): void {
  if (sameRange(known, record) && known.pool === record.pool) return;
  throw new BunkhouseError(
    'CONFLICT',
    `${record.name} runs already, for pool ${known.pool} with ${known.capacity} ports from ${known.basePort}: stop it first`,
  );
}
