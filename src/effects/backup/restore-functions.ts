/**
 * The files of the edge functions, once the database is in place. Invariants:
 * 1. Only what differs is written, only over what stood there when it was looked at (E9), and all is listed again afterwards.
 * 2. A file mount of Dokploy is given the same text: the next deployment would take an older one back.
 * 3. A rollback brings back what was overwritten and removes what was not there. Files that the backup does not hold are left alone.
 */
import { gzipSync } from 'node:zlib';
import type { z } from 'zod';
import * as contract from '../../../machines/effects/restore.ts';
import { AppError } from '../../errors.ts';
import type { MountRow } from '../dokploy/schemas.ts';
import { changedBySomebodyElse, notTakenBack } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { openService } from '../target/place.ts';
import type { BackupDeps } from './deps.ts';
import { type FunctionFile, type FunctionsFolder, functionsFolderOf } from './functions-folder.ts';
import { functionsContentsOf, functionsOf, readFunctions } from './functions-part.ts';
import { openRestore } from './restore-document.ts';

type Output = z.infer<typeof contract.putFunctions.output>;
/** A file or mount as it was; null where there was none. */
type Before = {
  asked: boolean;
  files: { path: string; sha256: string | null }[];
  /** Base64 of a gzip'd tar of the files that were there. */
  archive: string;
  mounts: { mountId: string; path: string; content: string }[];
};
const nothing: Before = { asked: false, files: [], archive: '', mounts: [] };
const nothingAsked: Output = { files: 0, written: 0, mounts: 0 };

export function putFunctions(deps: BackupDeps) {
  return defineHandler(contract.putFunctions, {
    async prepare(ctx, input): Promise<Before> {
      const opened = await openFunctions(deps, ctx, input);
      if (!opened) return nothing;
      const { folder, noted, mounts, textOf } = opened;
      const now = await hashesNow(folder);
      const differing = noted.filter(({ path, sha256 }) => now.get(path) !== sha256);
      const there = new Set(differing.map(({ path }) => path).filter((path) => now.has(path)));
      return {
        asked: true,
        files: differing.map(({ path }) => ({ path, sha256: now.get(path) ?? null })),
        archive: there.size === 0 ? '' : (await archiveOf(await filesNow(folder, there))).toString('base64'),
        mounts: mounts.flatMap(({ mountId, path, content }) => (textOf.get(path) === content ? [] : [{ mountId, path, content }])),
      };
    },
    async run(ctx, input, before: Before): Promise<Output> {
      const opened = await openFunctions(deps, ctx, input);
      if (!opened) return nothingAsked;
      const { folder, noted, backup, file, textOf, client } = opened;
      const open = wrongNow(before, noted, await hashesNow(folder));
      if (open.size > 0) {
        ctx.progress(`Edge functions: ${open.size} files`);
        const bytes = await readFunctions(backup, file, (path) => open.has(path));
        await folder.place(
          await archiveOf(noted.flatMap(({ path, mode }) => (open.has(path) ? [{ path, mode, bytes: bytesIn(bytes, path) }] : []))),
        );
      }
      const left = wrongNow(before, noted, await hashesNow(folder)).size;
      if (left > 0) throw unwritten(left);
      for (const { mountId, path, content } of before.mounts) {
        const text = textOf.get(path) ?? '';
        if (requireMount(opened.mounts, { mountId, path, content, text }) !== text) await client.updateMount({ mountId, content: text });
      }
      return { files: noted.length, written: before.files.length, mounts: before.mounts.length };
    },
    async probe(ctx, input, before: Before): Promise<Probe<Output>> {
      if (!before.asked) return { state: 'applied', output: nothingAsked };
      const opened = await openFunctions(deps, ctx, input);
      if (!opened) return { state: 'applied', output: nothingAsked };
      const { noted, textOf, mounts } = opened;
      const now = await hashesNow(opened.folder);
      const wrong = noted.filter(({ path, sha256 }) => now.get(path) !== sha256).length;
      const stale = before.mounts.filter(({ mountId, path }) => contentOf(mounts, mountId) !== textOf.get(path)).length;
      if (wrong + stale === 0)
        return { state: 'applied', output: { files: noted.length, written: before.files.length, mounts: before.mounts.length } };
      if (before.files.every(({ path, sha256 }) => (now.get(path) ?? null) === sha256) && stale === before.mounts.length)
        return { state: 'absent' };
      return { state: 'partial', say: `${wrong} files of the edge functions are not those of the backup.` };
    },
    async undo(ctx, input, before: Before) {
      const opened = before.asked ? await openFunctions(deps, ctx, input) : undefined;
      if (!opened) return;
      const { folder, noted, textOf, mounts, client } = opened;
      const wanted = new Map(noted.map(({ path, sha256 }) => [path, sha256]));
      const now = await hashesNow(folder);
      const ours = before.files.filter(({ path, sha256 }) => (now.get(path) ?? null) !== sha256);
      const foreign = ours.filter(({ path }) => now.get(path) !== wanted.get(path));
      if (foreign.length > 0) throw changedBySomebodyElse('The functions folder', { files: foreign.slice(0, 20).map(({ path }) => path) });
      if (ours.some(({ sha256 }) => sha256 !== null)) await folder.place(Buffer.from(before.archive, 'base64'));
      await folder.drop(ours.filter(({ sha256 }) => sha256 === null).map(({ path }) => path));
      const after = await hashesNow(folder);
      if (before.files.some(({ path, sha256 }) => (after.get(path) ?? null) !== sha256))
        throw notTakenBack('the edge functions of the backup', 'Compare the folder volumes/functions with what should stand there.');
      for (const { mountId, path, content } of before.mounts) {
        const text = textOf.get(path) ?? '';
        if (requireMount(mounts, { mountId, path, content, text }) !== content) await client.updateMount({ mountId, content });
      }
    },
  });
}

type Mount = { mountId: string; path: string; content: string };

/** Undefined where the approved plan asks for no functions. Throws FUNCTIONS_UNREACHABLE and those of backup and Dokploy. */
async function openFunctions(deps: BackupDeps, ctx: EffectContext, input: { plan: string; planHash: string }) {
  const { plan, backup } = await openRestore(deps, ctx, input);
  const file = functionsOf(backup.manifest);
  if (!plan.functions || !file) return undefined;
  const { record, client, composeId } = await openService(deps, ctx, plan.target);
  const folder = await functionsFolderOf(deps, ctx, record);
  if (!folder) return undefined;
  const { files: noted } = await functionsContentsOf(backup);
  const mounts = mountsIn(await client.mounts(composeId), noted);
  const paths = new Set(mounts.map(({ path }) => path));
  const bytes = paths.size === 0 ? new Map<string, Buffer>() : await readFunctions(backup, file, (path) => paths.has(path));
  const textOf = new Map([...bytes].map(([path, each]) => [path, each.toString()]));
  // A mount holds text; bytes that are none cannot stand in it.
  const held = mounts.filter(({ path }) => bytes.get(path)?.equals(Buffer.from(textOf.get(path) ?? '')));
  return { folder, noted, backup, file, client, mounts: held, textOf };
}

/** File mounts of Dokploy that hold one of these files. Pure. */
export function mountsIn(rows: readonly MountRow[], files: readonly Pick<FunctionFile, 'path'>[]): Mount[] {
  const paths = new Set(files.map(({ path }) => path));
  return rows.flatMap(({ type, mountId, filePath, content }) => {
    const path = type === 'file' ? /^\/?volumes\/functions\/(.+)$/.exec(filePath ?? '')?.[1] : undefined;
    return path !== undefined && paths.has(path) ? [{ mountId, path, content: content ?? '' }] : [];
  });
}

const contentOf = (mounts: readonly Mount[], id: string): string | undefined => mounts.find(({ mountId }) => mountId === id)?.content;

/** What a mount holds now. Throws CHANGED_BY_SOMEBODY_ELSE when that is neither what it held nor what it is given. */
function requireMount(mounts: readonly Mount[], { mountId, path, content, text }: Mount & { text: string }): string {
  const now = contentOf(mounts, mountId);
  if (now === content || now === text) return now;
  throw changedBySomebodyElse(`The file mount of ${path}`, { mountId });
}

const hashesNow = async (folder: FunctionsFolder) => new Map((await folder.list()).files.map(({ path, sha256 }) => [path, sha256]));

/** Files that are not yet those of the backup. Throws CHANGED_BY_SOMEBODY_ELSE for one that is not as it was looked at either. */
function wrongNow(before: Before, noted: readonly FunctionFile[], now: ReadonlyMap<string, string>): Set<string> {
  const was = new Map(before.files.map(({ path, sha256 }) => [path, sha256]));
  const wrong = noted.filter(({ path, sha256 }) => now.get(path) !== sha256);
  const foreign = wrong.filter(({ path }) => was.get(path) !== (now.get(path) ?? null));
  if (foreign.length > 0) throw changedBySomebodyElse('The functions folder', { files: foreign.slice(0, 20).map(({ path }) => path) });
  return new Set(wrong.map(({ path }) => path));
}

type Packed = { path: string; mode: string; bytes: Buffer };

function bytesIn(read: ReadonlyMap<string, Buffer>, path: string): Buffer {
  const bytes = read.get(path);
  if (!bytes) throw new TypeError('a part that was judged whole holds each of its files');
  return bytes;
}

async function filesNow(folder: FunctionsFolder, wanted: ReadonlySet<string>): Promise<Packed[]> {
  const { extract } = await import('tar-stream');
  const tar = extract();
  const found: Packed[] = [];
  const taken = (async () => {
    for await (const entry of tar) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer); // a tar gives buffers
      const { name, mode } = entry.header;
      if (wanted.has(name)) found.push({ path: name, mode: (mode ?? 0o644).toString(8), bytes: Buffer.concat(chunks) });
    }
  })();
  for await (const piece of folder.read()) tar.write(piece);
  tar.end();
  await taken;
  return found;
}

async function archiveOf(files: readonly Packed[]): Promise<Buffer> {
  const { pack } = await import('tar-stream');
  const tar = pack();
  for (const { path, mode, bytes } of files) tar.entry({ name: path, mode: Number.parseInt(mode, 8) }, bytes);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer); // a tar gives buffers
  return gzipSync(Buffer.concat(chunks));
}

function unwritten(left: number): AppError {
  return new AppError('RESTORE_DIFFERS', {
    message: `${left} files of the edge functions read back as other ones than those of the backup.`,
    fix: 'Look who writes into the functions folder, then retry.',
  });
}
