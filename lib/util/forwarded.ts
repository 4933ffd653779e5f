/** Headers in which a request says where it came from. */
export const FORWARDED = /^(?:forwarded|x-forwarded-.*|x-real-ip)$/;

/** Of this machine itself. */
export function isLoopback(address: string | undefined): boolean {
  return /^(?:::ffff:)?127\.|^::1$/i.test(address ?? '');
}
