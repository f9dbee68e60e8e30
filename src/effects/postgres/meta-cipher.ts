/** The encryption of the header x-connection-encrypted: `CryptoJS.AES.encrypt(text, passphrase)`, which is OpenSSL's salted form with MD5. */
import { createCipheriv, createHash, randomBytes } from 'node:crypto';

const headed = Buffer.from('Salted__', 'latin1');

/** Base64 that postgres-meta opens with the same passphrase (PG_META_CRYPTO_KEY). */
export function encryptConnection(text: string, passphrase: string, salt: Buffer = randomBytes(8)): string {
  const secret = Buffer.from(passphrase, 'utf8');
  let block = Buffer.alloc(0);
  let derived = Buffer.alloc(0);
  // EVP_BytesToKey: 32 bytes of key, 16 of IV.
  while (derived.length < 48) {
    block = createHash('md5')
      .update(Buffer.concat([block, secret, salt]))
      .digest();
    derived = Buffer.concat([derived, block]);
  }
  const cipher = createCipheriv('aes-256-cbc', derived.subarray(0, 32), derived.subarray(32, 48));
  return Buffer.concat([headed, salt, cipher.update(text, 'utf8'), cipher.final()]).toString('base64');
}
