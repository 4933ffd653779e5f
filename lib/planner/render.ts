import type { BotSpec, FileSpec } from '../domain/agent.ts';
import { type BotRecord, type Placement, wantsProcess } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { LEASE_FILE, type LeaseRecord } from '../domain/lease.ts';
import { PLACEHOLDER_FORMS, placeholderOf } from '../domain/placeholders.ts';
import type { ExecStep, HealthCheck, HttpCall, ResetRule, Template, TemplateFile } from '../domain/template.ts';

/** What placeholders stand for. */
export interface Values {
  readonly id: string;
  readonly owner: string;
  readonly desired: string;
  readonly host: string;
  readonly port: number;
  readonly secrets: Readonly<Record<string, string>>;
}

/** What is around a bot. `lease`: that it is on now, or null. */
export interface Around {
  /** Address that bots bind. */
  readonly host: string;
  readonly lease: LeaseRecord | null;
}

/** Everything the container must know to run the bot: template and record put together, placeholders filled in. */
export function renderSpec(bot: BotRecord, placement: Placement, template: Template, { host, lease }: Around): BotSpec {
  const values = valuesOf(bot, placement.port, host);
  return {
    bot: bot.instanceId,
    generation: bot.generation,
    restartGeneration: bot.restartGeneration,
    slot: placement.slot,
    port: placement.port,
    host,
    run: wantsProcess(bot),
    command: [...template.command, ...bot.args].map((argument) => renderText(argument, values)),
    env: renderRecord({ ...template.env, ...bot.env }, values),
    directories: template.directories,
    files: [...renderFiles(bot, template, values), ...(bot.reserve === null ? [] : [leaseFile(lease)])],
    readiness: template.readiness,
    stop: template.stop,
    backoff: template.backoff,
    limits: { ...template.limits, ...bot.limits },
    prefork: template.prefork,
  };
}

export function valuesOf(bot: BotRecord, port: number, host: string): Values {
  return { id: bot.instanceId, owner: bot.owner, desired: bot.desired, host, port, secrets: bot.secrets };
}

/** Replaces each `{{…}}`. Throws INVALID on a placeholder nobody knows, which the template's validation excludes. */
export function renderText(text: string, values: Values): string {
  return text.replaceAll(/\{\{([^{}]*)\}\}/g, (_, expression: string) => String(lookUp(expression, values)));
}

export function renderRecord(record: Readonly<Record<string, string>>, values: Values): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, text]) => [key, renderText(text, values)]));
}

export function renderCheck(check: HealthCheck, values: Values): HealthCheck {
  if (check.kind === 'tcp') return check;
  return {
    ...check,
    path: renderText(check.path, values),
    headers: renderRecord(check.headers, values),
    json: renderRecord(check.json, values),
  };
}

export function renderCall(call: HttpCall, values: Values): HttpCall {
  return { ...call, path: renderText(call.path, values), headers: renderRecord(call.headers, values) };
}

export function renderReset({ steps, verify }: ResetRule, bot: BotRecord, host: string): ResetRule {
  const values = valuesOf(bot, bot.placement?.port ?? 0, host);
  return {
    steps: steps.map((step) => (step.kind === 'exec' ? renderExec(step, values) : step)),
    verify: verify.map((step) => renderExec(step, values)),
  };
}

// Private

function renderExec(step: ExecStep, values: Values): ExecStep {
  const command = step.command.map((argument) => renderText(argument, values));
  return { ...step, command, stdin: renderText(step.stdin, values) };
}

function lookUp(expression: string, values: Values): string | number {
  const placeholder = placeholderOf(expression.trim());
  switch (placeholder?.kind) {
    case undefined:
      throw new BunkhouseError(
        'INVALID',
        `unknown placeholder {{${expression}}}; known: ${PLACEHOLDER_FORMS.join(' ')}`,
      );
    case 'value':
      return values[placeholder.name];
    case 'secret':
      return secretOf(placeholder.secret, values);
    case 'basic':
      return toBase64(`${placeholder.user}:${secretOf(placeholder.secret, values)}`);
  }
}

function secretOf(name: string, values: Values): string {
  const secret = Object.hasOwn(values.secrets, name) ? values.secrets[name] : undefined;
  if (secret === undefined) throw new BunkhouseError('INVALID', `the bot has no secret named ${name}`);
  return secret;
}

/** Seeds first, then the owner's files, then the template's own: the template has the last word. */
function renderFiles(bot: BotRecord, template: Template, values: Values): FileSpec[] {
  const owned = Object.entries(bot.files).map(
    ([path, data]): FileSpec => ({ path, mode: 0o600, when: 'always', data }),
  );
  const rendered = template.files.map((file): FileSpec => renderFile(file, values));
  const own = new Set(Object.keys(bot.files));
  return [
    ...rendered.filter((file) => file.when === 'absent' && !own.has(file.path)),
    ...owned,
    ...rendered.filter((file) => file.when === 'always'),
  ];
}

/** For the bot's own eyes: who has it, until when, and the number by which it can tell a late command of an earlier holder. */
function leaseFile(lease: LeaseRecord | null): FileSpec {
  const facts = lease && { id: lease.id, owner: lease.owner, expiresAt: lease.expiresAt, fence: lease.fence };
  return { path: LEASE_FILE, mode: 0o600, when: 'always', data: toBase64(`${JSON.stringify(facts)}\n`) };
}

function renderFile(file: TemplateFile, values: Values): FileSpec {
  const text =
    'text' in file.content
      ? renderText(file.content.text, values)
      : `${JSON.stringify(renderJson(file.content.json, values), null, 2)}\n`;
  return { path: file.path, mode: file.mode, when: file.when, data: toBase64(text) };
}

/** A string that is just one placeholder takes its type, so that a port stays a number. */
function renderJson(value: unknown, values: Values): unknown {
  if (typeof value === 'string') {
    const whole = /^\{\{([^{}]*)\}\}$/.exec(value);
    return whole === null ? renderText(value, values) : lookUp(whole[1] as string, values);
  }
  if (Array.isArray(value)) return value.map((item) => renderJson(item, values));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, renderJson(item, values)]));
}

/** Base64 of the UTF-8 bytes. */
export function toBase64(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}
