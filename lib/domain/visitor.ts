import type { Actor } from './state.ts';

/** Routes under names that other systems gave, by what they hand out. */
export const COMPAT_GROUPS = ['site', 'container', 'demo'] as const;
export type CompatGroup = (typeof COMPAT_GROUPS)[number];

/** No owner with a token is called so. */
export const VISITOR_PREFIX = 'public:';

/** Somebody without a token, told from others by their address alone: so quotas of owners are quotas of addresses. */
export function visitorAt(address: string): Actor {
  return { role: 'owner', owner: `${VISITOR_PREFIX}${address}` };
}

export const isVisitor = (owner: string): boolean => owner.startsWith(VISITOR_PREFIX);
