import { z } from 'zod';
import { type Discovery, FLAG_RULES } from '../domain/discovery.ts';
import { filePath, withoutNul } from './program-schema.ts';

/** The form of a template's `discovery` section. */

const absolute = z.string().regex(/^\/[^\0]*$/, 'must be an absolute path');
const key = z.string().min(1);

const pattern = (group?: string) =>
  z.string().refine((text) => isPattern(text, group), {
    message: `must be a regular expression${group === undefined ? '' : ` with a group (?<${group}>…)`}`,
  });

function isPattern(text: string, group: string | undefined): boolean {
  try {
    new RegExp(text);
    return group === undefined || text.includes(`(?<${group}>`);
  } catch {
    return false;
  }
}

export const discovery: z.ZodType<Discovery> = z.strictObject({
  name: pattern('id'),
  image: pattern(),
  command: z.array(withoutNul).readonly().default([]),
  workdir: absolute,
  paths: z.record(filePath, absolute),
  config: z.strictObject({
    path: filePath,
    flags: z.array(z.string()).readonly().default([]),
    owner: key.nullable().default(null),
    required: z.array(key).readonly().default([]),
    refused: z.array(key).readonly().default([]),
    expected: z.record(key, z.string()).default({}),
  }),
  env: pattern().default('^$'),
  flags: z.record(z.string().regex(/^-/, 'must begin with a dash'), z.enum(FLAG_RULES)).default({}),
  code: z
    .strictObject({ flag: z.string(), key, folder: filePath, declares: pattern('name') })
    .nullable()
    .default(null),
  database: z
    .strictObject({
      flag: z.string(),
      key,
      defaults: z.array(z.string()).readonly().default([]),
      tables: z.array(z.string()).readonly().default([]),
      answers: z.record(z.string(), z.string()).default({}),
    })
    .nullable()
    .default(null),
});
