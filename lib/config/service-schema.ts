import { z } from 'zod';
import { NAME } from '../domain/ids.ts';
import { backoff, command, exec, file, limits, seconds, stop, variableName, withoutNul } from './program-schema.ts';

/** The form of a template's `services` section. */

const name = z.string().regex(NAME, 'must be 1 to 31 lower-case letters, digits or dashes');
/** Nothing else than programs can be run there, so their kind need not be said. */
const steps = z
  .array(exec.extend({ kind: exec.shape.kind.default('exec') }))
  .readonly()
  .default([]);

const deadlines = {
  startupSeconds: seconds(1).default(60),
  watchdogSeconds: seconds(1).nullable().default(null),
};
const socketPath = z
  .string()
  .regex(/^\{\{ *service\.(run|dir) *\}\}\/[^\s\0]+$/, 'must begin with {{service.run}}/ or {{service.dir}}/');

const readiness = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('process'), ...deadlines }),
    z.strictObject({ kind: z.literal('notify'), ...deadlines }),
    z.strictObject({ kind: z.literal('socket'), path: socketPath, ...deadlines }),
  ],
  'must be notify, process or socket',
);

const service = z.strictObject({
  command,
  env: z.record(variableName, withoutNul).default({}),
  files: z.array(file).readonly().default([]),
  readiness: readiness.prefault({ kind: 'process' }),
  stop: stop.prefault({}),
  backoff: backoff.prefault({}),
  limits: limits.prefault({}),
  provision: steps,
  deprovision: steps,
  archive: steps,
});

const MOST_SERVICES = 8;

export const services = z
  .record(name, service)
  .refine((map) => Object.keys(map).length <= MOST_SERVICES, `must hold at most ${MOST_SERVICES} services`);
