import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { RestartPolicy } from '../../domain/migration.ts';
import type { DeploymentMount } from '../foreign-host.ts';

/** What a Compose file says of its one service that matters here. */
export interface ComposeService {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly restartPolicy: RestartPolicy;
  readonly ports: readonly { readonly host: string; readonly hostPort: number; readonly containerPort: number }[];
  readonly mounts: readonly DeploymentMount[];
}

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const service = z.object({
  container_name: z.string().optional(),
  image: z.string().optional(),
  entrypoint: z.union([z.string(), z.array(z.string())]).optional(),
  command: z.union([z.string(), z.array(z.coerce.string())]).optional(),
  environment: z.union([z.array(z.string()), z.record(z.string(), scalar)]).optional(),
  restart: z.string().optional(),
  ports: z
    .array(
      z.union([
        z.string(),
        z.number(),
        z.object({
          target: z.coerce.number(),
          published: z.coerce.number().optional(),
          host_ip: z.string().optional(),
        }),
      ]),
    )
    .optional(),
  volumes: z
    .array(
      z.union([
        z.string(),
        z.object({
          type: z.string().optional(),
          source: z.string().optional(),
          target: z.string(),
          read_only: z.boolean().optional(),
        }),
      ]),
    )
    .optional(),
});
const document = z.object({ services: z.record(z.string(), service) });

type Service = z.infer<typeof service>;

/** Reads the text of a Compose file in that folder. Throws Error with what cannot be understood. */
export function parseCompose(text: string, folder: string): ComposeService {
  if (/(?<!\$)\$\{?[A-Za-z_]/.test(text)) throw new Error('it has variables ($NAME), which are not looked up');
  const parsed = document.safeParse(parse(text, { maxAliasCount: 100, prettyErrors: false }));
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error).split('\n')[0] ?? '');
  const [first, ...others] = Object.entries(parsed.data.services);
  if (first === undefined || others.length > 0)
    throw new Error(`it has ${others.length + (first === undefined ? 0 : 1)} services instead of one`);
  const [name, found] = first;
  return {
    name: found.container_name ?? name,
    image: found.image ?? '',
    command: [...wordsOf(found.entrypoint), ...wordsOf(found.command)],
    env: variablesOf(found.environment),
    restartPolicy: policyOf(found.restart),
    ports: (found.ports ?? []).flatMap(portOf),
    mounts: (found.volumes ?? []).map((volume) => mountOf(volume, folder)),
  };
}

// Private

function wordsOf(words: string | readonly string[] | undefined): readonly string[] {
  if (words === undefined) return [];
  return typeof words === 'string' ? splitWords(words) : words;
}

/** As a shell splits, without expanding anything. */
function splitWords(text: string): string[] {
  const words = text.matchAll(/(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|((?:[^\s"'\\]|\\.)+))(\s|$)?/g);
  const all: string[] = [];
  let open = '';
  for (const [, double, single, bare, end] of words) {
    open += (double ?? bare)?.replaceAll(/\\(.)/g, '$1') ?? single ?? '';
    if (end === undefined) continue;
    all.push(open);
    open = '';
  }
  return open === '' ? all : [...all, open];
}

function variablesOf(given: Service['environment']): Record<string, string> {
  if (given === undefined) return {};
  if (!Array.isArray(given))
    return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value ?? '')]));
  return Object.fromEntries(given.map((text) => text.split(/=(.*)/s, 2) as [string, string]));
}

function policyOf(text = 'no'): RestartPolicy {
  const [name = 'no', count = '0'] = text.split(':');
  const known = ['always', 'unless-stopped', 'on-failure'].find((one) => one === name) as RestartPolicy['name'];
  return { name: known ?? 'no', maximumRetryCount: Number(count) || 0 };
}

function portOf(port: NonNullable<Service['ports']>[number]): ComposeService['ports'] {
  if (typeof port === 'number') return [];
  if (typeof port === 'object')
    return port.published === undefined
      ? []
      : [{ host: port.host_ip ?? '', hostPort: port.published, containerPort: port.target }];
  const [, host, outside, inside] = /^(?:(.+):)?(\d+):(\d+)(?:\/\w+)?$/.exec(port) ?? [];
  return outside === undefined
    ? []
    : [{ host: (host ?? '').replace(/^0\.0\.0\.0$/, ''), hostPort: Number(outside), containerPort: Number(inside) }];
}

function mountOf(volume: NonNullable<Service['volumes']>[number], folder: string): DeploymentMount {
  if (typeof volume !== 'string') {
    const { type, source = '', target, read_only: readOnly = false } = volume;
    const kind = type === 'volume' ? 'volume' : type === undefined || type === 'bind' ? 'bind' : 'other';
    return { kind, source: kind === 'bind' ? resolve(folder, source) : source, target, readOnly };
  }
  const [source = '', target = source, options = ''] = volume.split(':');
  const isPath = /^[./~]/.test(source);
  return {
    kind: isPath ? 'bind' : 'volume',
    source: isPath ? resolve(join(folder, '.'), source) : source,
    target,
    readOnly: options.split(',').includes('ro'),
  };
}
