import type { LegacyLife } from './move.ts';

/** `pooled`: in a slot of a shared container. `legacy`: in a container of its own. */
export const MODES = ['pooled', 'legacy'] as const;
export type Mode = (typeof MODES)[number];

export function modeOf({ legacy }: { readonly legacy: LegacyLife | null }): Mode {
  return legacy === null ? 'pooled' : 'legacy';
}
