import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Crypto } from '../engine/ports.ts';
import type { HomeKey } from './home.ts';

/** Hashes, signatures and ids for the engine; signatures use a key derived from the home key (A1). */
export function createCrypto(key: HomeKey, now: () => number): Crypto {
  const signing = createHmac('sha256', key.bytes).update('capstan approvals').digest();
  const sign = (text: string): string => createHmac('sha256', signing).update(text).digest('hex');
  return {
    hash: hashJson,
    sign,
    verify: (text, signature) => {
      const [a, b] = [Buffer.from(sign(text)), Buffer.from(signature)];
      return a.length === b.length && timingSafeEqual(a, b);
    },
    newId: () => uuidV7(now()),
    newToken: () => randomBytes(12).toString('hex'),
  };
}

/** SHA-256 of JSON with sorted keys, hex. */
export function hashJson(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
    return `{${entries
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value ?? null);
}

/** Time-ordered ids, so that the newest runs come last (RFC 9562). */
function uuidV7(at: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(at, 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
