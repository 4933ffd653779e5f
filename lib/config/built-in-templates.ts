import type { Template } from '../domain/template.ts';
import { loadTemplates } from './template.ts';

/**
 * The templates that come with Bunkhouse (`builtIn`) and the operator's own, by name; of the same name, the operator's. One that
 * comes with Bunkhouse keeps warm bots only where a setting names it (`wanted`): nobody asked for the others'.
 */
export async function loadAllTemplates(
  builtIn: string,
  own: string,
  wanted: readonly (string | null)[],
): Promise<ReadonlyMap<string, Template>> {
  const given = await loadTemplates([builtIn]);
  const quiet = [...given].map(
    ([name, template]) => [name, wanted.includes(name) ? template : withoutReserve(template)] as const,
  );
  return new Map([...quiet, ...(await loadTemplates([own]))]);
}

// Private

function withoutReserve(template: Template): Template {
  const { lease } = template;
  if (lease === null) return template;
  return { ...template, lease: { ...lease, reserve: { ...lease.reserve, target: 0, locations: {}, windows: [] } } };
}
