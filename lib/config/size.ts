const UNITS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

export const SIZE_ALLOWED = 'a size such as 512MiB or 1.5GiB (B, KiB, MiB, GiB, TiB)';

/** Bytes of a size such as `512MiB`; null when it is none. Only binary units, because `M` means either. */
export function parseSize(text: string): number | null {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return null;
  const bytes = Math.round(Number(amount) * UNITS[unit as keyof typeof UNITS]);
  return Number.isSafeInteger(bytes) ? bytes : null;
}
