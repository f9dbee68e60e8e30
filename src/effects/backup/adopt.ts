/** Backups that lie in a store and are not in the index: made by another home, or by this one before it was lost. */
import type { BackupRow } from '../handler.ts';
import { type BackupReads, openStore, passphraseOf, sha256Of } from './book.ts';
import { checkManifest, manifestPath, readManifest } from './manifest.ts';
import { readText } from './pipeline.ts';

/** Throws BACKUP_KEY_UNKNOWN when the sheet was not imported yet, and MANIFEST_DAMAGED rather than to skip one. */
export async function readForeignBackups(
  deps: { backups: BackupReads },
  reveal: (reference: string) => Promise<string>,
  target: string,
  storeName: string,
): Promise<BackupRow[]> {
  const store = await openStore(deps.backups, reveal, storeName);
  const rows: BackupRow[] = [];
  for (const { path } of await store.list(target)) {
    const id = /^[^/]+\/([^/]+)\/manifest\.json$/.exec(path)?.[1];
    if (id === undefined) continue;
    const text = (await readText(store, manifestPath(target, id))) ?? '';
    const manifest = readManifest(text);
    const { keyId } = manifest.encryption;
    await checkManifest(manifest, await passphraseOf(deps.backups, reveal, keyId), id);
    const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    rows.push({
      id,
      target,
      store: storeName,
      kind: manifest.kind,
      keyId,
      bytes,
      manifestSha256: sha256Of(text),
      manifest,
      madeAt: Date.parse(manifest.madeAt),
      verifiedAt: null,
    });
  }
  return rows;
}
