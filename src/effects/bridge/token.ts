/**
 * Tokens of a bridge: each is signed here for one stream and a moment, and the relay (relay.ts) takes it once. Invariants:
 * 1. The private key never leaves this side; what is deployed holds the public one.
 * 2. A token names the bridge that it is for, when it was signed, when it ends and a nonce; all of it is under the signature.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** DER in base64url: PKCS #8 and SPKI. */
export type BridgeKeys = { privateKey: string; publicKey: string };

/** Half of what the relay allows at most, so that clocks a little apart still agree. */
const lifeMs = 60_000;

export function makeBridgeKeys(): BridgeKeys {
  const pair = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  return { privateKey: pair.privateKey.toString('base64url'), publicKey: pair.publicKey.toString('base64url') };
}

/** `at` in ms since the epoch, by the clock that the relay goes by. */
export function signToken(privateKey: string, host: string, at: number): string {
  const claims = { v: 1, host, at, until: at + lifeMs, nonce: randomBytes(16).toString('base64url') };
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url');
  const key = createPrivateKey({ key: Buffer.from(privateKey, 'base64url'), format: 'der', type: 'pkcs8' });
  return `${body}.${sign(null, Buffer.from(body), key).toString('base64url')}`;
}
