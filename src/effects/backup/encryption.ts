/**
 * OpenPGP that gpg 2.2 opens: AES-256, SEIPDv1, no compression of its own. Invariants:
 * 1. What is encrypted can be opened by the passphrase and by each recipient's private key.
 * 2. Decryption hands bytes on before their end is authenticated: nothing of it may be applied before the stream has ended well.
 */
import { Readable } from 'node:stream';
import type { ReadableStream as WebStream } from 'node:stream/web';
import { AppError } from '../../errors.ts';

export type EncryptTo = { passphrase?: string /** Armored public keys. */; recipients?: readonly string[] };

/** The stream encrypted; errors of the source come out of it. Throws RECIPIENT_INVALID, and a TypeError when nobody could open it. */
export async function encrypt(source: Readable, to: EncryptTo): Promise<Readable> {
  const openpgp = await import('openpgp');
  if (to.passphrase === undefined && !to.recipients?.length) throw new TypeError('a backup that nobody can open');
  const encryptionKeys = await Promise.all((to.recipients ?? []).map(readRecipient));
  const message = await openpgp.createMessage({ binary: toWeb(source), format: 'binary' });
  const encrypted = await openpgp.encrypt({
    message,
    format: 'binary',
    ...(to.passphrase === undefined ? {} : { passwords: [to.passphrase] }),
    ...(encryptionKeys.length === 0 ? {} : { encryptionKeys }),
    config: {
      preferredSymmetricAlgorithm: openpgp.enums.symmetric.aes256,
      preferredCompressionAlgorithm: openpgp.enums.compression.uncompressed,
      aeadProtect: false,
    },
  });
  return fromWeb(encrypted);
}

/**
 * Throws BACKUP_KEY_WRONG at once; a damaged stream errs with BACKUP_DAMAGED, at the latest at its end. OpenPGP gives away so little of a
 * session key that about one wrong passphrase in a hundred passes for the right one until that end.
 */
export async function decrypt(source: Readable, passphrase: string): Promise<Readable> {
  const openpgp = await import('openpgp');
  try {
    const message = await openpgp.readMessage({ binaryMessage: toWeb(source) });
    const { data } = await openpgp.decrypt({
      message,
      passwords: [passphrase],
      format: 'binary',
      config: { allowUnauthenticatedStream: true },
    });
    const clear = fromWeb(data);
    async function* judged() {
      try {
        yield* clear;
      } catch (cause) {
        throw readFailure(cause);
      }
    }
    return Readable.from(judged(), { objectMode: false, highWaterMark: 64 * 1024 });
  } catch (cause) {
    source.destroy();
    throw readFailure(cause);
  }
}

/** Fingerprint and user of an armored public key. Throws RECIPIENT_INVALID. */
export async function describeRecipient(armored: string): Promise<{ fingerprint: string; user: string }> {
  const key = await readRecipient(armored);
  return { fingerprint: key.getFingerprint(), user: key.getUserIDs()[0] ?? '' };
}

async function readRecipient(armoredKey: string) {
  const openpgp = await import('openpgp');
  try {
    const key = await openpgp.readKey({ armoredKey });
    if (key.isPrivate()) throw new Error('it is a private key');
    await key.getEncryptionKey(); // expired, revoked or made for signing only
    return key;
  } catch (cause) {
    throw new AppError('RECIPIENT_INVALID', {
      message: `The recipient's key cannot be used: ${cause instanceof Error ? cause.message : 'it is no public key'}.`,
      fix: 'Give an armored public key with an encryption subkey: gpg --armor --export NAME > key.asc.',
      cause,
    });
  }
}

function readFailure(cause: unknown): unknown {
  if (cause instanceof AppError || !(cause instanceof Error)) return cause;
  if (cause.name === 'AbortError') return cause;
  if (/session key decryption failed|incorrect key|no.*passw|no decryption/i.test(cause.message))
    return new AppError('BACKUP_KEY_WRONG', {
      message: 'The backup does not open with this key.',
      fix: 'Import the recovery sheet of the home that wrote it: capstan key import --file SHEET.',
      cause,
    });
  return new AppError('BACKUP_DAMAGED', {
    message: 'The backup file is damaged, or was made with another key: its content does not pass its own check.',
    fix: 'Use another backup; nothing was applied.',
    details: { said: cause.message.slice(0, 200) },
    cause,
  });
}

// The two type worlds describe the same streams: openpgp takes those of the platform.
type ForOpenPgp = import('openpgp').WebStream<Uint8Array>;
function toWeb(source: Readable): ForOpenPgp {
  return Readable.toWeb(source) as unknown as ForOpenPgp;
}

function fromWeb(stream: unknown): Readable {
  return Readable.fromWeb(stream as WebStream<Uint8Array>, { highWaterMark: 64 * 1024 });
}
