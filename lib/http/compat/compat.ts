import type { CompatGroup } from '../../domain/visitor.ts';
import type { LeaseApi } from '../../services/lease-api.ts';
import type { Route } from '../route.ts';
import { containerRoutes, containerWays } from './containers.ts';
import { demoRoutes } from './demos.ts';
import type { Group } from './group.ts';
import { siteRoutes } from './sites.ts';

export interface CompatOptions {
  /** Template by group; null: the group is off. */
  readonly templates: Readonly<Record<CompatGroup, string | null>>;
  /** Below a demo's address. */
  readonly demoAdminPath: string;
}

/** Routes under names that other systems gave, over the same services. `isOpen`: whether a group needs no token. */
export function compatRoutes(
  { templates, demoAdminPath }: CompatOptions,
  leases: LeaseApi,
  isOpen: (group: CompatGroup) => boolean,
): Route[] {
  const routesOf = (name: CompatGroup, make: (group: Group) => Route[]): Route[] => {
    const template = templates[name];
    return template === null ? [] : make({ leases, template, open: isOpen(name) ? { open: name } : {} });
  };
  return [
    ...routesOf('site', siteRoutes),
    ...routesOf('container', containerRoutes),
    ...routesOf('demo', (group) => demoRoutes(group, demoAdminPath)),
  ];
}

/** The ways to what was handed out, which are the gateway's. */
export function compatWays(
  { templates }: CompatOptions,
  isOpen: (group: CompatGroup) => boolean,
): ReturnType<typeof containerWays> {
  return templates.container === null ? {} : containerWays(isOpen('container'));
}
