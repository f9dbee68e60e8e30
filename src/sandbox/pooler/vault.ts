/**
 * How Supavisor keeps the passwords of a tenant's users: Cloak's AES-256-GCM, as Elixir's Supavisor.Vault is configured.
 * The bytes are 1, the length of the tag, the tag, 16 bytes of nonce, 16 bytes of authentication tag, the rest.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const tag = Buffer.from('AES.GCM.V1');
const header = Buffer.concat([Buffer.from([1, tag.length]), tag]);
const associated = Buffer.from('AES256GCM');

/** Throws on a key that is not 32 bytes, as the real one crashes. */
export function encryptPassword(password: string, vaultKey: string): Buffer {
  const nonce = randomBytes(16);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(vaultKey), nonce).setAAD(associated);
  const sealed = Buffer.concat([cipher.update(password, 'utf8'), cipher.final()]);
  return Buffer.concat([header, nonce, cipher.getAuthTag(), sealed]);
}

/** Throws on another key and on anything that was not sealed so. */
export function decryptPassword(sealed: Buffer, vaultKey: string): string {
  if (!sealed.subarray(0, header.length).equals(header)) throw new Error('no ciphertext of the vault');
  const rest = sealed.subarray(header.length);
  const decipher = createDecipheriv('aes-256-gcm', Buffer.from(vaultKey), rest.subarray(0, 16))
    .setAAD(associated)
    .setAuthTag(rest.subarray(16, 32));
  return Buffer.concat([decipher.update(rest.subarray(32)), decipher.final()]).toString('utf8');
}
