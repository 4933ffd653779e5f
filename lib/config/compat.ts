import { z } from 'zod';
import { BunkhouseError } from '../domain/errors.ts';
import type { Template } from '../domain/template.ts';
import { COMPAT_GROUPS, type CompatGroup } from '../domain/visitor.ts';
import type { Kind } from './kinds.ts';
import { pairs } from './pairs.ts';

const MOST = 1_000_000;

/** Groups of routes with the requests a minute that one address may make there. */
export const publicGroups: Kind<ReadonlyMap<CompatGroup, number>> = {
  schema: pairs(
    (name) => COMPAT_GROUPS.find((group) => group === name),
    (value) => {
      const parsed = z.coerce
        .number()
        .int()
        .min(1)
        .max(MOST)
        .safeParse(value ?? '');
      return parsed.success ? parsed.data : undefined;
    },
  ),
  allowed: `any of ${COMPAT_GROUPS.map((group) => `\`${group}\``).join(', ')}, each with \`=\` and requests a minute up to ${MOST}, with commas between them; empty: none`,
};

/** Path below a bot's address. */
export const pathBelow: Kind<string> = {
  schema: z.string().regex(/^(?!\/)[A-Za-z0-9._~/-]{0,200}$/),
  allowed: 'a path without a slash at its beginning, such as `wp-admin/`',
};

export interface CompatSettings {
  readonly compatSiteTemplate: string | null;
  readonly compatContainerTemplate: string | null;
  readonly compatDemoTemplate: string | null;
  readonly compatPublic: ReadonlyMap<CompatGroup, number>;
}

type Templates = Readonly<Record<CompatGroup, string | null>>;

/** Templates that the settings name; null: the group is off. */
export const compatNames = (settings: CompatSettings): readonly (string | null)[] => Object.values(namesOf(settings));

/** Template by group of routes; null: the group is off. Throws INVALID for one that is not handed out on lease. */
export function compatTemplates(settings: CompatSettings, templates: ReadonlyMap<string, Template>): Templates {
  const named = namesOf(settings);
  for (const group of COMPAT_GROUPS) {
    const name = named[group];
    if (name === null || templates.get(name)?.lease != null) continue;
    const what = templates.has(name) ? `template ${name} has no lease` : `there is no template ${name}`;
    throw new BunkhouseError('INVALID', `${keyOf(group)}: ${what}, so nothing of it can be handed out`);
  }
  return named;
}

/** What does not go together, a sentence each. */
export function compatProblems(settings: CompatSettings): string[] {
  const named = namesOf(settings);
  return [...settings.compatPublic.keys()]
    .filter((group) => named[group] === null)
    .map((group) => `COMPAT_PUBLIC: ${group} is to be public, but ${keyOf(group)} is not set`);
}

/** What visitors would stumble over, a sentence each. */
export function compatWarnings(
  settings: CompatSettings & { readonly baseDomain: string | null },
  templates: ReadonlyMap<string, Template>,
): string[] {
  const named = namesOf(settings);
  return (['site', 'demo'] as const).flatMap((group) => {
    const name = named[group] ?? '';
    const canVisit = settings.baseDomain !== null && templates.get(name)?.proxy.public === true;
    if (!settings.compatPublic.has(group) || canVisit) return [];
    return [
      `COMPAT_PUBLIC: who gets a ${group} without a token cannot open it: set BASE_DOMAIN, and proxy.public in template ${name}`,
    ];
  });
}

// Private

const keyOf = (group: CompatGroup): string => `COMPAT_${group.toUpperCase()}_TEMPLATE`;

function namesOf(settings: CompatSettings): Templates {
  const { compatSiteTemplate: site, compatContainerTemplate: container, compatDemoTemplate: demo } = settings;
  return { site, container, demo };
}
