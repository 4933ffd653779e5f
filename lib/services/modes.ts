import { BunkhouseError } from '../domain/errors.ts';
import type { Mode } from '../domain/mode.ts';
import type { LegacyLife } from '../domain/move.ts';
import type { Actor } from '../domain/state.ts';
import type { Template } from '../domain/template.ts';
import type { PoolLimits } from '../planner/world.ts';

/**
 * Why a new bot gets a container of its own, or null when it is to share one. The request says, else its template; nobody
 * shares while the pool is switched off. Throws UNSUPPORTED, FORBIDDEN.
 */
export function chooseMode(
  actor: Actor,
  asked: Mode | undefined,
  template: Pick<Template, 'name' | 'mode'>,
  { poolMode }: Pick<PoolLimits, 'poolMode'>,
  since: string,
): LegacyLife | null {
  const alone = (why: string): LegacyLife => ({ cause: 'asked', why, since });
  if (asked === 'legacy') return alone('asked for when it was made');
  if (asked === 'pooled') {
    if (!poolMode)
      throw new BunkhouseError('UNSUPPORTED', 'bots do not share containers here: set POOL_MODE_ENABLED=true first');
    if (template.mode === 'legacy' && actor.role !== 'admin')
      throw new BunkhouseError('FORBIDDEN', `only an admin lets bots of template ${template.name} share a container`);
    return null;
  }
  if (!poolMode) return alone('POOL_MODE_ENABLED is false');
  return template.mode === 'legacy' ? alone(`its template ${template.name} says so`) : null;
}
