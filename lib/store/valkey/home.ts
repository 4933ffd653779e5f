/**
 * Where containers are, as text: a place, or several with the names they go by, `NAME: PLACE; NAME: PLACE`. The names that
 * both have must mean the same; a place without a name must be among the others. A process for which that does not hold would
 * make containers a second time, and every bot with them.
 */
export function isSameHome(known: string, home: string): boolean {
  const [before, now] = [placesOf(known), placesOf(home)];
  for (const [one, other] of [
    [before, now],
    [now, before],
  ] as const) {
    const unnamed = one.get('');
    if (unnamed !== undefined) return [...other.values()].includes(unnamed);
  }
  return [...before].every(([name, place]) => (now.get(name) ?? place) === place);
}

export function homeText(places: ReadonlyMap<string, string>): string {
  return [...places].map(([name, place]) => `${name}: ${place}`).join('; ');
}

// Private

function placesOf(text: string): ReadonlyMap<string, string> {
  const parts = text.split('; ').map((part) => /^([a-z0-9][a-z0-9-]{0,30}): (.*)$/.exec(part));
  if (parts.includes(null)) return new Map([['', text]]);
  return new Map(parts.map((part) => [part?.[1] ?? '', part?.[2] ?? '']));
}
