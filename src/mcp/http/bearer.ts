/**
 * Bearer tokens: `capstan_<id>_<secret>`, 256 random bits, of which only a hash is kept. Pure but for the randomness.
 * A token is looked up by its public id and compared in constant time (design §5).
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export type MintedToken = { id: string; token: string; hash: string };

/** A new token; it is shown once, `id` and `hash` are kept. */
export function mintToken(random: (bytes: number) => Buffer = randomBytes): MintedToken {
  const id = random(6).toString('hex');
  const secret = random(32).toString('base64url');
  return { id, token: `capstan_${id}_${secret}`, hash: hashOf(secret) };
}

const form = /^capstan_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** The two halves of a token, or undefined for anything else. */
export function splitToken(text: string): { id: string; secret: string } | undefined {
  const [, id, secret] = form.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Takes as long for a wrong secret as for the right one, and for a token that is not known. */
export function isSecretOf(secret: string, hash: string | undefined): boolean {
  const known = Buffer.from(hash ?? hashOf(''), 'hex');
  const given = Buffer.from(hashOf(secret), 'hex');
  return known.length === given.length && timingSafeEqual(known, given) && hash !== undefined;
}

/** One round is enough for a secret that nobody chose. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
