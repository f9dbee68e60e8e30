/** SCRAM-SHA-256 verifiers as Postgres keeps them (RFC 5803): made here, so that the database and its logs never see the password. Pure but for the salt. */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

const iterations = 4096;

/** The password is plain ASCII, which SASLprep leaves as it is; else a TypeError. */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16), rounds = iterations): string {
  if (!/^[\x21-\x7e]+$/.test(password)) throw new TypeError('only plain passwords are made here');
  const salted = pbkdf2Sync(password, salt, rounds, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${rounds}:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`;
}

/** True when the verifier is one of this password; false for any other form of verifier. */
export function fitsVerifier(password: string, verifier: string): boolean {
  const [, rounds, salt] = /^SCRAM-SHA-256\$([1-9]\d{0,6}):([A-Za-z0-9+/=]+)\$/.exec(verifier) ?? [];
  if (rounds === undefined || salt === undefined || !/^[\x21-\x7e]+$/.test(password)) return false;
  const made = Buffer.from(scramVerifier(password, Buffer.from(salt, 'base64'), Number(rounds)));
  const given = Buffer.from(verifier);
  return made.length === given.length && timingSafeEqual(made, given);
}
