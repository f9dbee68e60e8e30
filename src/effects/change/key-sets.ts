/** JWT_KEYS and JWT_JWKS around a JWT secret: asymmetric keys stay, the `oct` key becomes the secret. Pure. */

type Jwk = Record<string, unknown>;

const privateParts = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'];

/** JWT_KEYS is an array, for signing; text that is none becomes an array of the secret alone. */
export function signingKeysWith(text: string, secret: string): string {
  return JSON.stringify([...asymmetric(readKeys(text)), octOf(secret)]);
}

/** JWT_JWKS is an object, for verifying: public parts only, also of the signing keys that it lacks. */
export function verifyingKeysWith(text: string, signing: string, secret: string): string {
  const own = asymmetric(readKeys(text)).map(publicOnly);
  const known = new Set(own.map(identity));
  const missing = asymmetric(readKeys(signing))
    .map(publicOnly)
    .filter((key) => !known.has(identity(key)));
  return JSON.stringify({ keys: [...own, ...missing, octOf(secret)] });
}

function readKeys(text: string): Jwk[] {
  const value = parse(text);
  const list: unknown = Array.isArray(value) ? value : Reflect.get(Object(value), 'keys');
  return Array.isArray(list) ? list.filter(isKey) : [];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isKey(value: unknown): value is Jwk {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'kty') === 'string';
}

const asymmetric = (keys: readonly Jwk[]) => keys.filter((key) => key['kty'] !== 'oct');
const identity = (key: Jwk) => JSON.stringify([key['kid'], key['kty'], key['x'], key['n']]);

function publicOnly(key: Jwk): Jwk {
  const kept = Object.fromEntries(Object.entries(key).filter(([name]) => !privateParts.includes(name)));
  return Array.isArray(kept['key_ops']) ? { ...kept, key_ops: ['verify'] } : kept;
}

function octOf(secret: string): Jwk {
  return { kty: 'oct', k: Buffer.from(secret, 'utf8').toString('base64url'), alg: 'HS256' };
}
