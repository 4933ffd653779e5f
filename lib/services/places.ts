import { BunkhouseError } from '../domain/errors.ts';
import type { Locations } from '../domain/location.ts';
import type { Dependencies } from './dependencies.ts';

const UNREACHABLE_RETRY_SECONDS = 5;

/** Where a ready bot may be taken from, in this order. Null: anywhere. */
export function placesToTake({ default: first, all }: Locations, wanted: string | null): readonly string[] {
  return wanted === null ? [...new Set([first, ...all])] : [wanted];
}

/** Where a bot can be made now. Throws DRIVER_UNAVAILABLE for a location that cannot be reached. */
export function placeToMake(
  { locations, unreachable }: Pick<Dependencies, 'locations' | 'unreachable'>,
  wanted: string | null,
): string {
  const blind = unreachable();
  if (wanted === null) return placesToTake(locations, null).find((name) => !blind.has(name)) ?? locations.default;
  const reason = blind.get(wanted);
  if (reason === undefined) return wanted;
  throw new BunkhouseError('DRIVER_UNAVAILABLE', reason, { retryAfterSeconds: UNREACHABLE_RETRY_SECONDS });
}
