/**
 * The manifest that lies with each backup: what it is, which files it has, what is missing. Plain JSON, signed with the key of the backup,
 * so that a file that was cut, changed, swapped or renamed is found, and a manifest that was changed is too. Names of tables,
 * counts and checksums stand in the encrypted `contents` files.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { sameText, sha256Of, signText } from './book.ts';

const file = z.strictObject({
  path: z.string(),
  part: z.string(),
  kind: z.enum(['roles', 'database', 'storage', 'functions', 'environment', 'vault-key']),
  database: z.string().nullable(),
  role: z.enum(['data', 'contents']),
  bytes: z.number().int(),
  rawBytes: z.number().int(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ManifestFile = z.infer<typeof file>;

const body = z.strictObject({
  format: z.literal('capstan-backup/1'),
  id: z.string(),
  target: z.string(),
  kind: z.enum(['full', 'schema', 'data']),
  madeAt: z.string(),
  server: z.strictObject({ version: z.string(), major: z.number().int(), superuser: z.boolean() }),
  extensions: z.array(z.strictObject({ database: z.string(), name: z.string(), version: z.string(), schema: z.string() })),
  /** Image or version by service, where it could be read. */
  services: z.record(z.string(), z.string()),
  codec: z.enum(['zstd', 'gzip']),
  encryption: z.strictObject({ keyId: z.string(), keyVersion: z.number().int(), recipients: z.array(z.string()) }),
  tables: z.number().int(),
  rows: z.number().int(),
  files: z.array(file),
  missing: z.array(z.strictObject({ part: z.string(), why: z.string() })),
  open: z.string(),
});
export type ManifestBody = z.infer<typeof body>;
export type Manifest = ManifestBody & { mac: string };
const manifest = body.extend({ mac: z.string() });

export const folderOf = (target: string, id: string): string => `${target}/${id}`;
export const manifestPath = (target: string, id: string): string => `${folderOf(target, id)}/manifest.json`;

export async function sealManifest(
  content: ManifestBody,
  passphrase: string,
): Promise<{ text: string; sha256: string; manifest: Manifest }> {
  const mac = await signText(passphrase, content.encryption.keyId, JSON.stringify(body.parse(content)));
  const sealed = { ...body.parse(content), mac };
  const text = `${JSON.stringify(sealed, null, 1)}\n`;
  return { text, sha256: sha256Of(text), manifest: sealed };
}

/** Reads a manifest without trusting it yet. Throws MANIFEST_DAMAGED. */
export function readManifest(text: string): Manifest {
  try {
    return manifest.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged('it cannot be read', cause);
  }
}

/** Throws MANIFEST_DAMAGED when another hand than the key's owner wrote it. */
export async function checkManifest({ mac, ...content }: Manifest, passphrase: string, id: string): Promise<void> {
  const expected = await signText(passphrase, content.encryption.keyId, JSON.stringify(body.parse(content)));
  if (!sameText(mac, expected)) throw damaged('its signature does not fit');
  if (content.id !== id) throw damaged('it belongs to another backup');
}

function damaged(what: string, cause?: unknown): AppError {
  return new AppError('MANIFEST_DAMAGED', {
    message: `The manifest of the backup is not the one that was written: ${what}.`,
    fix: 'Use another backup; nothing was applied.',
    ...(cause === undefined ? {} : { cause }),
  });
}
