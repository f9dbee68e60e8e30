/** Postgres' SCRAM-SHA-256 verifiers, computed here so that no statement ever holds a password. Pure but for the salt. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

const iterations = 4096;
const form = /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

/** As the server would make it of this password; each call with a salt of its own. */
export function makeVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const { storedKey, serverKey } = keysOf(password, salt, iterations);
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/** True if the verifier (or the older md5 form, which the role's name salts) was made of this password. */
export function isPasswordOf(verifier: string, password: string, role: string): boolean {
  if (verifier.startsWith('md5')) return verifier === `md5${createHash('md5').update(`${password}${role}`).digest('hex')}`;
  const [, count, salt, storedKey] = form.exec(verifier) ?? [];
  if (count === undefined || salt === undefined) return false;
  return keysOf(password, Buffer.from(salt, 'base64'), Number(count)).storedKey === storedKey;
}

/** Passwords outside ASCII are normalized as SASLprep does, as far as NFKC goes. */
function keysOf(password: string, salt: Buffer, count: number): { storedKey: string; serverKey: string } {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, count, 32, 'sha256');
  const keyed = (word: string) => createHmac('sha256', salted).update(word).digest();
  return {
    storedKey: createHash('sha256').update(keyed('Client Key')).digest('base64'),
    serverKey: keyed('Server Key').toString('base64'),
  };
}
