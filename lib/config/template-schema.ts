import { z } from 'zod';
import { NAME } from '../domain/ids.ts';
import { MODES } from '../domain/mode.ts';
import { SECRET_NAME } from '../domain/placeholders.ts';
import type { Template } from '../domain/template.ts';
import { discovery } from './discovery-schema.ts';
import { cron } from './kinds.ts';
import { lease } from './lease-schema.ts';
import { MODULE_NAME, MOST_MODULES } from './preload-list.ts';
import { backoff, command, file, filePath, limits, seconds, stop, variableName, withoutNul } from './program-schema.ts';
import { services } from './service-schema.ts';

/** The form of a template's YAML: what may be left out, and how it becomes the domain's Template. Strict throughout. */

const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, 'must be the name of an HTTP header');
const headers = z.record(headerName, z.string().regex(/^[^\r\n\0]*$/, 'must be one line')).default({});
const urlPath = z.string().regex(/^\/[^\s#]*$/, 'must begin with "/" and hold neither blanks nor "#"');

const check = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('tcp'), timeoutSeconds: seconds(0.1).default(5) }),
    z.strictObject({
      kind: z.literal('http'),
      timeoutSeconds: seconds(0.1).default(5),
      path: urlPath,
      headers,
      status: z.int().min(100).max(599).default(200),
      json: z.record(z.string(), z.string()).default({}),
    }),
  ],
  'must be tcp or http',
);

const call = z.strictObject({ method: z.enum(['GET', 'POST', 'PUT']).default('POST'), path: urlPath, headers });

const readiness = z.strictObject({
  kind: z.enum(['notify', 'listen', 'process']).default('process'),
  startupSeconds: seconds(1).default(60),
  watchdogSeconds: seconds(1).nullable().default(null),
});

const onOff = (preset: 'on' | 'off') =>
  z
    .enum(['on', 'off'])
    .default(preset)
    .transform((text) => text === 'on');

/** Files are named here; `resolvePrefork` puts what is in them into their place. */
const prefork = z
  .strictObject({
    entry: z.string().regex(/^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$/, 'must be module:function'),
    python: z
      .string()
      .regex(/^[^\s\0]+$/, 'must be a program without blanks')
      .default('python3'),
    preload: z
      .array(z.string().regex(MODULE_NAME, 'must be the dotted name of a Python module'))
      .max(MOST_MODULES, `must hold at most ${MOST_MODULES} modules`)
      .readonly()
      .default([]),
    preloadFrom: filePath.nullable().default(null),
    warmup: filePath.nullable().default(null),
    env: z.record(variableName, withoutNul).default({}),
    merge: onOff('off'),
    immortal: onOff('on'),
  })
  .refine(({ preload, preloadFrom }) => preloadFrom === null || preload.length === 0, {
    path: ['preloadFrom'],
    message: 'must not stand beside preload; keep one of the two',
  });

const proxy = z
  .strictObject({ public: z.boolean().default(false), headers, query: z.record(z.string(), z.string()).default({}) })
  .refine((form) => !form.public || Object.keys({ ...form.headers, ...form.query }).length === 0, {
    path: ['public'],
    message: 'must not stand beside headers or query: every visitor would have what they grant',
  });

const some = z.int().min(0).max(999);
const backup = z.strictObject({
  schedule: z
    .union([z.literal('never'), cron.schema], 'must be never or a cron expression of five fields')
    .nullable()
    .default(null),
  keep: z
    .strictObject({ last: some.default(1), daily: some.default(0), weekly: some.default(0) })
    .nullable()
    .default(null),
});

const fact = z.strictObject({
  kind: z.enum(['same', 'sum', 'max']),
  from: z
    .array(
      z.strictObject({
        path: urlPath,
        pointer: z.string().regex(/^(\/[^/]*)*$/, 'must be a JSON pointer such as "/total" or "/*/id"'),
        take: z.enum(['value', 'count']).default('value'),
      }),
    )
    .min(1, 'must hold at least one question')
    .readonly(),
});

const move = z.strictObject({
  deadlineSeconds: seconds(1).nullable().default(null),
  headers,
  facts: z.record(z.string().regex(/^(?!__proto__$)[A-Za-z][A-Za-z0-9_]{0,30}$/, 'must be a name'), fact).default({}),
});

const holdBack = z.strictObject({
  path: urlPath,
  headers,
  json: z.record(z.string().min(1), z.string()),
  why: z.string().min(1).default('says that this is no good time'),
});

const secretName = z.string().regex(SECRET_NAME, 'must begin with a letter and hold only letters, digits, "_" and "-"');

const image = z
  .string()
  .regex(/^[a-z0-9][A-Za-z0-9._/:@-]{0,254}$/, 'must be the name of an image')
  .nullable()
  .default(null);

export const templateSchema = z.strictObject({
  name: z.string().regex(NAME, 'must be 1 to 31 lower-case letters, digits or dashes'),
  description: z.string().default(''),
  image,
  mode: z.enum(MODES).default('pooled'),
  legacy: z.strictObject({ image }).prefault({}),
  command,
  env: z.record(variableName, withoutNul).default({}),
  directories: z.array(filePath).readonly().default([]),
  files: z.array(file).readonly().default([]),
  requiredFiles: z.array(filePath).readonly().default([]),
  secrets: z.record(secretName, z.strictObject({ bytes: z.int().min(16).max(1024).default(32) })).default({}),
  readiness: readiness.prefault({}),
  checks: z.array(check).readonly().default([]),
  checkEverySeconds: seconds(1).default(30),
  failureThreshold: z.int().min(1).max(1000).default(3),
  notices: z.record(z.string().min(1), z.string().min(1)).default({}),
  stop: stop.prefault({}),
  backoff: backoff.prefault({}),
  limits: limits.prefault({}),
  control: z.strictObject({ pause: call.exactOptional(), resume: call.exactOptional() }).default({}),
  proxy: proxy.prefault({}),
  isolation: z.enum(['template', 'owner']).default('template'),
  capacity: z.int().min(1).max(100).nullable().default(null),
  lease: lease.nullable().default(null),
  prefork: prefork.nullable().default(null),
  services: services.default({}),
  backup: backup.prefault({}),
  move: move.prefault({}),
  holdBack: holdBack.nullable().default(null),
  discovery: discovery.nullable().default(null),
});

/** A template as its YAML says it, checked and with everything that was left out. */
export type TemplateForm = z.output<typeof templateSchema>;

/** A template without its version: the form, with files it names put in. Assigned both ways to the domain's type, so they agree. */
export type TemplateContent = Omit<Template, 'version'>;
