import type { BotSpec, FileSpec, Marks, ServiceSpec, ServiceUse } from '../domain/agent.ts';
import { type BotRecord, placedGeneration, wantsProcess } from '../domain/bot.ts';
import { LEASE_FILE, type LeaseRecord } from '../domain/lease.ts';
import type { Placement } from '../domain/placement.ts';
import type {
  ExecStep,
  HealthCheck,
  HttpCall,
  ResetRule,
  Service,
  Template,
  TemplateFile,
} from '../domain/template.ts';
import { marksOf } from './marks.ts';
import { renderJson, renderRecord, renderText, toBase64, type Values, valuesOf } from './values.ts';

/** What is around a bot. `lease`: that it is on now, or null. */
export interface Around {
  /** Address that bots bind. */
  readonly host: string;
  /** Of the container, as its bots see it. */
  readonly directory: string;
  readonly lease: LeaseRecord | null;
}

/** Everything the container must know to run the bot: template and record put together, placeholders filled in. */
export function renderSpec(bot: BotRecord, placement: Placement, template: Template, around: Around): BotSpec {
  return { ...renderParts(bot, placement, template, around), marks: renderMarks(bot, placement, template, around) };
}

/** Of the spec that the bot would have now. What it is wanted to do comes without a restart, so it does not count. */
export function renderMarks(bot: BotRecord, placement: Placement, template: Template, around: Around): Marks {
  return marksOf(renderParts({ ...bot, desired: 'running' }, placement, template, around));
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

export function renderReset({ steps, verify }: ResetRule, bot: BotRecord, around: Omit<Around, 'lease'>): ResetRule {
  const values = valuesOf(bot, bot.placement?.port ?? 0, around.host, around.directory);
  return {
    steps: steps.map((step) => (step.kind === 'exec' ? renderExec(step, values) : step)),
    verify: verify.map((step) => renderExec(step, values)),
  };
}

// Private

function renderParts(
  bot: BotRecord,
  placement: Placement,
  template: Template,
  { host, directory, lease }: Around,
): Omit<BotSpec, 'marks'> {
  const values = valuesOf(bot, placement.port, host, directory);
  return {
    bot: bot.instanceId,
    generation: placedGeneration(bot),
    restartGeneration: bot.restartGeneration,
    slot: placement.slot,
    port: placement.port,
    host,
    run: wantsProcess(bot),
    command: renderAll([...template.command, ...bot.args], values),
    env: renderRecord({ ...template.env, ...bot.env }, values),
    directories: template.directories,
    files: [...renderFiles(bot, template, values), ...(bot.reserve === null ? [] : [leaseFile(lease)])],
    readiness: template.readiness,
    stop: template.stop,
    backoff: template.backoff,
    limits: { ...template.limits, ...bot.limits },
    // Who is alone shares nothing: a zygote would only take more.
    prefork: bot.legacy === null ? template.prefork : null,
    services: Object.entries(template.services).map(([name, service]) => renderUse(name, service, values)),
    secrets: Object.values(bot.secrets),
  };
}

/** The service by itself knows no bot: it is the same for all of them. */
function renderUse(name: string, service: Service, values: Values): ServiceUse {
  const ofBot = { ...values, service: name };
  const steps = (some: readonly ExecStep[]): ExecStep[] => some.map((step) => renderExec(step, ofBot));
  return {
    service: renderService(name, service, { ...ofBot, bot: null }),
    provision: steps(service.provision),
    deprovision: steps(service.deprovision),
    archive: steps(service.archive),
  };
}

function renderService(name: string, service: Service, values: Values): ServiceSpec {
  const { command, env, files, readiness, stop, backoff, limits } = service;
  return {
    name,
    command: renderAll(command, values),
    env: renderRecord(env, values),
    files: files.map((file) => renderFile(file, values)),
    readiness: readiness.kind === 'socket' ? { ...readiness, path: renderText(readiness.path, values) } : readiness,
    stop,
    backoff,
    limits,
  };
}

function renderExec(step: ExecStep, values: Values): ExecStep {
  return { ...step, command: renderAll(step.command, values), stdin: renderText(step.stdin, values) };
}

const renderAll = (texts: readonly string[], values: Values): string[] => texts.map((text) => renderText(text, values));

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
