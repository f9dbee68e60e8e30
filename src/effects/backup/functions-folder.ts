/**
 * The folder of the edge functions, in the container that runs them: listed, read and written through Dokploy's exec. Invariants:
 * 1. A listing tells every file with size and SHA-256; what is read is compared with it, and what was written is listed again by the caller.
 * 2. An answer stays below the megabyte that Dokploy reads of a log, a command below the 128 KB that Linux takes as one argument.
 * 3. Pieces that are brought pass through Dokploy as commands of a schedule, which is removed with its log as soon as it ran.
 */
import { createHash, randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { AppError } from '../../errors.ts';
import { runInContainer } from '../dokploy/run-in-container.ts';
import { openDokploy } from '../dokploy/session.ts';
import type { EffectContext, TargetRecord } from '../handler.ts';
import type { RunInContainer } from '../postgres/exec.ts';
import type { BackupDeps } from './deps.ts';
import { functionsCommand, type ScriptName } from './functions-scripts.ts';
import { sayBytes } from './meter.ts';

export type FunctionFile = { path: string; bytes: number; mode: string; sha256: string };
export type FunctionsListing = { files: FunctionFile[]; bytes: number /** Links and the like, which no backup takes. */; others: number };

export type FunctionsFolder = {
  /** Throws FUNCTIONS_MISSING, FUNCTIONS_TOO_LARGE, FUNCTIONS_UNREACHABLE and those of the Dokploy client. */
  list(): Promise<FunctionsListing>;
  /** A tar of all files, in pieces. Throws FUNCTIONS_CHANGED when somebody wrote there meanwhile. */
  read(): AsyncGenerator<Buffer>;
  /** Unpacks a gzip'd tar into the folder; other files stay. */
  place(archive: Buffer): Promise<void>;
  /** Removes files by name; one that is not there is no error. */
  drop(paths: readonly string[]): Promise<void>;
};

/** What a folder of functions may hold to be taken: sources, not films. */
export const mostFunctions = { files: 2_000, bytes: 16 * 1024 * 1024 };
/** In base64 it is two thirds of a megabyte. */
const readPiece = 512 * 1024;
/** In base64 84 KB, beside a script of 1 KB. */
const writePiece = 63 * 1024;
const callMs = 60_000;

/** Undefined for a target whose containers nobody here can reach. */
export async function functionsFolderOf(
  deps: BackupDeps,
  ctx: EffectContext,
  { dokploy }: Pick<TargetRecord, 'dokploy'>,
): Promise<FunctionsFolder | undefined> {
  if (!dokploy) return undefined;
  const client = await openDokploy(deps, ctx, dokploy.name);
  const place = { composeId: dokploy.composeId, serviceName: 'functions' };
  return createFunctionsFolder((command, timeoutMs) => runInContainer(client, place, command, timeoutMs));
}

export function createFunctionsFolder(run: RunInContainer): FunctionsFolder {
  /** The lines of an answer, by their first word. */
  const ask = async (script: ScriptName, ...args: (string | number)[]): Promise<Map<string, string>> => {
    const mark = `capstan-${randomBytes(8).toString('hex')}`;
    const output = await run(functionsCommand(script, mark, ...args), callMs);
    const lines = output.split(/\r?\n/).filter((line) => line.startsWith(`${mark}:`));
    const said = new Map(lines.map((line) => [/^\w+/.exec(line.slice(mark.length + 1))?.[0] ?? '', line.slice(mark.length + 1)]));
    if (said.has('absent')) throw missing();
    if (said.size === 0) throw unreachable();
    return said;
  };
  return {
    async list() {
      const said = await ask('list', mostFunctions.files, mostFunctions.bytes);
      const [count = 0, bytes = 0, others = 0] = (said.get('total') ?? '').split(':').slice(1).map(Number);
      if (count > mostFunctions.files || bytes > mostFunctions.bytes) throw tooLarge(count, bytes);
      const files = filesIn(unpacked(said.get('files')), unpacked(said.get('sums')));
      if (files.length !== count) throw changed();
      return { files, bytes, others };
    },
    async *read() {
      const whole = createHash('sha256');
      let first: string | undefined;
      for (let at = 0, bytes = 1; at < bytes; ) {
        const [, size = '', sum = '', text = ''] = (await ask('read', at, readPiece)).get('piece')?.split(':') ?? [];
        first ??= `${size} ${sum}`;
        const piece = gunzipSync(Buffer.from(text, 'base64'));
        if (first !== `${size} ${sum}` || piece.length === 0) throw changed();
        bytes = Number(size);
        at += piece.length;
        whole.update(piece);
        yield piece;
      }
      if (first?.split(' ')[1] !== whole.digest('hex')) throw changed();
    },
    async place(archive) {
      await ask('sweep');
      const id = randomBytes(8).toString('hex');
      for (let at = 0; at < archive.length; at += writePiece) {
        const piece = archive.subarray(at, at + writePiece);
        const said = (await ask('bring', id, Math.floor(at / writePiece), piece.toString('base64'))).get('piece');
        if (said?.split(':')[1] !== sha256(piece)) throw unwritten();
      }
      if (!(await ask('place', id, sha256(archive))).has('placed')) throw unwritten();
    },
    async drop(paths) {
      if (paths.length === 0) return;
      const names = gzipSync(Buffer.from(paths.map((path) => `${path}\0`).join(''))).toString('base64');
      if (!(await ask('drop', names)).has('dropped')) throw unwritten();
    },
  };
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function unpacked(line: string | undefined): string[] {
  if (line === undefined) throw unreachable();
  const text = gunzipSync(Buffer.from(line.slice(line.indexOf(':') + 1), 'base64')).toString();
  return text.split('\0').filter((each) => each !== '');
}

/** `size mode path` and `hash  path`, joined by path. Throws FUNCTIONS_CHANGED for one that has no hash. Pure. */
export function filesIn(sizes: readonly string[], sums: readonly string[]): FunctionFile[] {
  const hashes = new Map(sums.map((line) => [line.slice(66), line.slice(0, 64)]));
  const files = sizes.map((line) => {
    const [, bytes = '', mode = '', path = ''] = /^(\d+) (\d+) ([\s\S]+)$/.exec(line) ?? [];
    const hash = hashes.get(path);
    if (hash === undefined || !/^[0-9a-f]{64}$/.test(hash)) throw changed();
    return { path, bytes: Number(bytes), mode, sha256: hash };
  });
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

const look = 'Check in Dokploy that the service functions runs, then try again.';

function missing(): AppError {
  return new AppError('FUNCTIONS_MISSING', {
    message: 'The container of the service functions has no folder /home/deno/functions.',
    fix: 'Mount the folder of the functions there, as the template of Supabase does.',
  });
}

function unreachable(): AppError {
  return new AppError('FUNCTIONS_UNREACHABLE', {
    message: 'The container of the service functions gave no answer that can be read.',
    fix: look,
    retry: 'later',
    applied: 'unknown',
  });
}

function tooLarge(files: number, bytes: number): AppError {
  return new AppError('FUNCTIONS_TOO_LARGE', {
    message: `The functions folder holds ${files} files with ${sayBytes(bytes)}; up to ${mostFunctions.files} files with ${sayBytes(mostFunctions.bytes)} go through Dokploy.`,
    fix: 'Move large files into storage, or copy the folder volumes/functions on the server yourself.',
    details: { files, bytes },
  });
}

function changed(): AppError {
  return new AppError('FUNCTIONS_CHANGED', {
    message: 'Somebody wrote into the functions folder while it was read.',
    fix: 'It is read again; if it stays so, look who writes there.',
    retry: 'later',
    applied: 'no',
  });
}

function unwritten(): AppError {
  return new AppError('FUNCTIONS_NOT_WRITTEN', {
    message: 'The functions folder did not take what was written, or not all of it.',
    fix: `Check in the container that there is room and that the folder can be written. ${look}`,
    applied: 'unknown',
  });
}
