import * as z from 'zod';
import { type Fault, InvalidRequest } from './problem.ts';

const nothing = z.strictObject({});

/** The value as its schema has it; without a schema only the empty object passes. Throws INVALID with every fault. */
export function parse(schema: z.ZodType | undefined, value: unknown): unknown {
  const parsed = (schema ?? nothing).safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidRequest(parsed.error.issues.flatMap(faults));
}

/** Messages of zod name what was expected, never the value that came: it may be a secret. */
function faults(issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'there is no such field' }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, message: issue.issues[0]?.message ?? issue.message }];
  }
  return [{ path, message: issue.message }];
}
