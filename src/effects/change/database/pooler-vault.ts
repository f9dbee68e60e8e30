/**
 * How Supavisor keeps a password: sealed with VAULT_ENC_KEY by Cloak, AES-256-GCM under the tag AES.GCM.V1.
 * Bytes: 1, length of the tag, the tag, a nonce of 16, the authentication tag of 16, the sealed text.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AppError } from '../../../errors.ts';

const label = 'AES.GCM.V1';
const header = Buffer.concat([Buffer.of(1, label.length), Buffer.from(label)]);
const associated = Buffer.from('AES256GCM');
const nonceBytes = 16;
const tagBytes = 16;

/** As hexadecimal digits. Throws VAULT_KEY_UNUSABLE. */
export function sealForPooler(password: string, vaultKey: string): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', keyOf(vaultKey), nonce);
  cipher.setAAD(associated);
  const sealed = Buffer.concat([cipher.update(password, 'utf8'), cipher.final()]);
  return Buffer.concat([header, nonce, cipher.getAuthTag(), sealed]).toString('hex');
}

/** Undefined for what this key did not seal. Throws VAULT_KEY_UNUSABLE. */
export function openFromPooler(hex: string, vaultKey: string): string | undefined {
  const key = keyOf(vaultKey);
  const bytes = Buffer.from(hex, 'hex');
  const body = bytes.subarray(header.length);
  if (!bytes.subarray(0, header.length).equals(header) || body.length < nonceBytes + tagBytes) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, nonceBytes));
    decipher.setAAD(associated);
    decipher.setAuthTag(body.subarray(nonceBytes, nonceBytes + tagBytes));
    return Buffer.concat([decipher.update(body.subarray(nonceBytes + tagBytes)), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

function keyOf(vaultKey: string): Buffer {
  const key = Buffer.from(vaultKey, 'utf8');
  if (key.length === 32) return key;
  throw new AppError('VAULT_KEY_UNUSABLE', {
    message: `VAULT_ENC_KEY has ${key.length} bytes, and the pooler seals its tenant with a key of 32.`,
    fix: 'Set VAULT_ENC_KEY to the 32 characters that the pooler was started with first.',
  });
}
