/**
 * A backup becomes one: its manifest in the store, its row in the index. Invariants:
 * 1. The manifest is put in place whole and last; without it there is no backup, only parts that `discard` removes.
 * 2. The index row is staged with the outcome, also when a probe finds the manifest: no crash leaves one without the other.
 */
import { Readable } from 'node:stream';
import type { z } from 'zod';
import { publishBackup as contract, discardBackup } from '../../../machines/effects/backup.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { passphraseOf } from './book.ts';
import { databaseContents } from './database-contents.ts';
import { type BackupDeps, storeOf } from './deps.ts';
import { folderOf, type Manifest, type ManifestBody, manifestPath, readManifest, sealManifest } from './manifest.ts';
import { readText } from './pipeline.ts';
import type { BackupStore } from './stores/store.ts';

type Input = z.infer<(typeof contract)['input']>;
type Output = z.infer<(typeof contract)['output']>;

export function publishBackup(deps: BackupDeps) {
  return defineHandler(contract, {
    /** A manifest that stands there already is of an earlier attempt; there is nothing else to go back to. */
    async prepare(ctx, input): Promise<{ manifest: boolean }> {
      const store = await storeOf(deps, ctx, input.store);
      return { manifest: (await store.stat(manifestPath(input.target, input.id))) !== undefined };
    },
    async run(ctx, input): Promise<Output> {
      const store = await storeOf(deps, ctx, input.store);
      const passphrase = await passphraseOf(deps.backups, ctx.secrets.reveal, input.keyId);
      const body = await bodyOf(deps, ctx, input, store, passphrase);
      const { text, sha256, manifest } = await sealManifest(body, passphrase);
      await store.put(manifestPath(input.target, input.id), Readable.from([text]), { signal: ctx.signal });
      const output = enter(ctx, input, store, manifest, sha256);
      await removeNotes(store, input);
      return output;
    },
    async probe(ctx, input): Promise<Probe<Output>> {
      const store = await storeOf(deps, ctx, input.store);
      const text = await readText(store, manifestPath(input.target, input.id));
      if (text === undefined) {
        ctx.saveBackup({ forget: input.id }); // an undo that died after the manifest went left the row
        return { state: 'absent' };
      }
      const { sha256Of } = await import('./book.ts');
      return { state: 'applied', output: enter(ctx, input, store, readManifest(text), sha256Of(text)) };
    },
    async undo(ctx, input) {
      const store = await storeOf(deps, ctx, input.store);
      await store.remove(manifestPath(input.target, input.id));
      ctx.saveBackup({ forget: input.id });
    },
  });
}

function enter(ctx: EffectContext, input: Input, store: BackupStore, manifest: Manifest, manifestSha256: string): Output {
  const { id, target, store: name, kind, keyId } = input;
  const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  ctx.saveBackup({
    put: { id, target, store: name, kind, keyId, bytes, manifestSha256, manifest, madeAt: Date.parse(manifest.madeAt), verifiedAt: null },
  });
  return { id, bytes, files: manifest.files.length, manifestSha256, place: `${store.place}: ${folderOf(target, id)}` };
}

async function bodyOf(deps: BackupDeps, ctx: EffectContext, input: Input, store: BackupStore, passphrase: string): Promise<ManifestBody> {
  const key = (await deps.backups.keys()).find(({ keyId }) => keyId === input.keyId);
  const files = input.written.flatMap(({ part, kind, database, files: written }) =>
    written.map((file) => ({ ...file, part, kind, database })),
  );
  const sum = (values: (number | null)[]) => values.reduce<number>((total, value) => total + (value ?? 0), 0);
  const extensions: ManifestBody['extensions'] = [];
  for (const file of files.filter(({ kind, role }) => kind === 'database' && role === 'contents')) {
    const { readDocument } = await import('./pipeline.ts');
    const { catalog, database } = databaseContents.parse(
      await readDocument({
        store,
        path: `${folderOf(input.target, input.id)}/${file.path}`,
        codec: input.codec,
        passphrase,
        expected: file,
        signal: ctx.signal,
      }),
    );
    for (const { name, version, schema } of catalog.extensions) extensions.push({ database, name, version, schema });
  }
  return {
    format: 'capstan-backup/1',
    id: input.id,
    target: input.target,
    kind: input.kind,
    madeAt: new Date(ctx.now()).toISOString(),
    server: input.server,
    extensions,
    services: input.services,
    codec: input.codec,
    encryption: {
      keyId: input.keyId,
      keyVersion: key?.version ?? 0,
      recipients: (await deps.backups.recipients()).map(({ fingerprint }) => fingerprint),
    },
    tables: sum(input.written.map(({ tables }) => tables)),
    rows: sum(input.written.map(({ rows }) => rows)),
    files,
    missing: [...input.missing, ...input.written.flatMap(({ missing }) => missing)],
    open: `gpg -d FILE.dump.${input.codec === 'zstd' ? 'zst.pgp | zstd -d' : 'gz.pgp | gzip -d'} | pg_restore --list`,
  };
}

async function removeNotes(store: BackupStore, { target, id }: Input): Promise<void> {
  for (const { path } of await store.list(folderOf(target, id))) if (path.endsWith('.note.json')) await store.remove(path);
}

/** Every file of an unfinished backup, and what an interrupted upload left. A published one is never touched. */
export function discard(deps: BackupDeps) {
  return defineHandler(discardBackup, {
    async prepare(ctx, { id, target, store: name }): Promise<{ files: string[] }> {
      const store = await storeOf(deps, ctx, name);
      return { files: (await store.list(folderOf(target, id))).map(({ path }) => path) };
    },
    async run(ctx, { id, target, store: name }) {
      const store = await storeOf(deps, ctx, name);
      const folder = folderOf(target, id);
      await store.sweep(folder);
      const files = await store.list(folder);
      if (files.some(({ path }) => path === manifestPath(target, id))) return { removed: 0 };
      for (const { path } of files) await store.remove(path);
      await store.removeFolder(folder);
      return { removed: files.length };
    },
    async probe(ctx, { id, target, store: name }) {
      const store = await storeOf(deps, ctx, name);
      const files = await store.list(folderOf(target, id));
      return files.length === 0
        ? { state: 'applied', output: { removed: 0 } }
        : { state: 'partial', say: `${files.length} files are left.` };
    },
  });
}
