import { BlockList, isIPv6 } from 'node:net';

/** Whose X-Forwarded-* are believed. */
export type Trusts = (address: string | undefined) => boolean;

/** By addresses and networks such as `10.0.0.0/8`, already checked for form. */
export function createTrust(networks: readonly string[]): Trusts {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address = '') => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
    return plain !== '' && list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
  };
}
