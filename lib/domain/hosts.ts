/**
 * Ids that are host names by themselves: one label of DNS as it is written, lower case. Every other id has no address by host
 * name, so none can be taken for another. Two dashes in third and fourth place are reserved (`xn--…`), and no authority certifies them.
 */
const LABEL = /^(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Host name of a bot below the base domain; null: its id is none, so it is reached by path only. */
export function hostOf(bot: string, baseDomain: string | null): string | null {
  return baseDomain !== null && LABEL.test(bot) ? `${bot}.${baseDomain}` : null;
}

/** What a Host header names: `bot` null is a name below the base domain that no bot can have. Null: a name outside of it. */
export function botOfHost(host: string, baseDomain: string): { readonly bot: string | null } | null {
  const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  if (!name.endsWith(`.${baseDomain}`)) return null;
  const label = name.slice(0, -baseDomain.length - 1);
  return { bot: LABEL.test(label) ? label : null };
}

/** How bots are addressed by host name; without a base domain they are not. */
export interface Addresses {
  readonly baseDomain: string | null;
  readonly scheme: 'http' | 'https';
  readonly port: number;
}

/** A bot's address for its callers: by host name where it has one, otherwise its path behind this server. */
export function botUrl(bot: string, { baseDomain, scheme, port }: Addresses): string {
  const host = hostOf(bot, baseDomain);
  if (host === null) return `/bots/${bot}/`;
  const usual = port === (scheme === 'https' ? 443 : 80);
  return `${scheme}://${host}${usual ? '' : `:${port}`}/`;
}
