/**
 * The folder of the edge functions as a part: one tar of its files, and beside it what is noted of each. Invariants:
 * 1. Each file is compared with the listing while it goes by; one that changed meanwhile fails the part.
 * 2. What cannot be taken is named in the plan with a code; an answer that says nothing is no empty folder.
 */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { z } from 'zod';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import type { EffectContext, TargetRecord } from '../handler.ts';
import type { BackupDeps } from './deps.ts';
import { type FunctionsFolder, functionsFolderOf } from './functions-folder.ts';
import type { Manifest, ManifestFile } from './manifest.ts';
import { readDocument } from './pipeline.ts';
import { eachEntry, readNoted } from './tar-entries.ts';
import type { OpenedBackup } from './verify.ts';

const functionFile = z.object({ path: z.string(), bytes: z.number().int(), mode: z.string(), sha256: z.string() });
export const functionsContents = z.object({ format: z.literal('capstan-functions/1'), files: z.array(functionFile) });
export type FunctionsContents = z.infer<typeof functionsContents>;

type Look = { bytes: number } | { why: string; warnings: Warning[] };

const noWay = 'It lies on the server, and only through a Dokploy can Capstan reach the container that has it.';

/** Undefined when the folder of a target answers, else why it does not. */
export async function functionsSilence(deps: BackupDeps, ctx: EffectContext, target: TargetRecord): Promise<string | undefined> {
  try {
    const folder = await functionsFolderOf(deps, ctx, target);
    await folder?.list();
    return folder ? undefined : noWay;
  } catch (error) {
    if (ctx.signal.aborted || !(error instanceof AppError)) throw error;
    return error.message;
  }
}

/** How much there is to take, or why nothing is. */
export async function lookAtFunctions(deps: BackupDeps, ctx: EffectContext, target: TargetRecord): Promise<Look> {
  try {
    const folder = await functionsFolderOf(deps, ctx, target);
    if (!folder) return { why: noWay, warnings: [] };
    const { files, bytes } = await folder.list();
    return files.length === 0 ? { why: 'It is empty.', warnings: [] } : { bytes };
  } catch (error) {
    if (ctx.signal.aborted || !(error instanceof AppError)) throw error;
    const code = error.code === 'FUNCTIONS_TOO_LARGE' ? error.code : 'FUNCTIONS_NOT_TAKEN';
    return { why: error.message, warnings: [{ code, say: `The functions folder is not in this backup: ${error.message}` }] };
  }
}

export type PackedFunctions = { tar: Readable; contents: FunctionsContents; others: number };

/** Streams all files as one tar. Failures come out of the tar. */
export async function packFunctions(folder: FunctionsFolder): Promise<PackedFunctions> {
  const { files, others } = await folder.list();
  const contents = { format: 'capstan-functions/1' as const, files };
  return { tar: Readable.from(checked(folder, contents), { objectMode: false }), contents, others };
}

/** The same bytes, each file compared with what is noted of it. */
async function* checked(folder: FunctionsFolder, contents: FunctionsContents): AsyncGenerator<Buffer> {
  const { extract } = await import('tar-stream');
  const tar = extract();
  const judged = eachEntry(tar, notedIn(contents), changed, async (_file, body) => void body.resume());
  judged.catch(() => tar.destroy());
  try {
    for await (const piece of folder.read()) {
      if (!tar.write(piece)) await Promise.race([once(tar, 'drain'), judged]);
      yield piece;
    }
    tar.end();
    await judged;
  } finally {
    tar.destroy();
  }
}

function changed(what: string): AppError {
  return new AppError('FUNCTIONS_CHANGED', {
    message: `Somebody wrote into the functions folder while it was read: ${what}.`,
    fix: 'It is read again; if it stays so, look who writes there.',
    retry: 'later',
  });
}

const notedIn = ({ files }: FunctionsContents) => new Map(files.map((file) => [file.path, file]));

export const functionsOf = ({ files }: Pick<Manifest, 'files'>): ManifestFile | undefined =>
  files.find(({ kind, role }) => kind === 'functions' && role === 'data');

/** What is noted of the files of the part. Throws BACKUP_DAMAGED. */
export async function functionsContentsOf({ manifest, read }: OpenedBackup): Promise<FunctionsContents> {
  const beside = manifest.files.find(({ kind, role }) => kind === 'functions' && role === 'contents');
  if (!beside) throw damaged('nothing is noted of its files');
  return functionsContents.parse(await readDocument(read(beside)));
}

/** The bytes of the files that `wants` names, each judged by its hash; without it all are judged and none is kept. Throws BACKUP_DAMAGED. */
export async function readFunctions(
  opened: OpenedBackup,
  file: ManifestFile,
  wants: (path: string) => boolean = () => false,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<Map<string, Buffer>> {
  const bytesOf = new Map<string, Buffer>();
  await readNoted(opened.read(file, onBytes), notedIn(await functionsContentsOf(opened)), damaged, async ({ path }, body) => {
    if (!wants(path)) return void body.resume();
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk as Buffer); // a tar gives buffers
    bytesOf.set(path, Buffer.concat(chunks));
  });
  return bytesOf;
}

function damaged(what: string): AppError {
  return new AppError('BACKUP_DAMAGED', {
    message: `The part with the edge functions does not hold what was noted of it: ${what}.`,
    fix: 'Use another backup; nothing was applied.',
  });
}
