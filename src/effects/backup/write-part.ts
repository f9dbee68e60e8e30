/**
 * One part of a backup: its file, beside it what is noted of it, and last a note that says both are whole. Invariants:
 * 1. The note is written when every file of the part is in place and synced: it alone makes the part count (probe).
 * 2. A dump, its figures and its catalog come from one exported snapshot.
 * 3. What a dead attempt left is swept before the next one begins; its sessions are ended by the key that they carry (E6).
 */
import { Readable } from 'node:stream';
import type { Client } from 'pg';
import type { z } from 'zod';
import { writePart as contract, type PlannedPart, writtenPart } from '../../../machines/effects/backup.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { createArchiveTap } from './archive-tap.ts';
import { startReading } from './child.ts';
import { chooseCodec, extensionOf } from './codec.ts';
import { type DatabasePlace, endSessionsOf, libpqOf, openSession } from './connection.ts';
import { observe, toContents } from './database-contents.ts';
import { type BackupDeps, databaseOf, readersOf, storeOf } from './deps.ts';
import { readEnvironment } from './environment.ts';
import { functionsFolderOf } from './functions-folder.ts';
import { packFunctions } from './functions-part.ts';
import { folderOf } from './manifest.ts';
import { createProgress } from './meter.ts';
import { type Source, type WriteOptions, writeEncrypted } from './pipeline.ts';
import { pgClientFor } from './programs.ts';
import { readRoles, rolesScript } from './roles.ts';
import { packObjects, storageAccess } from './storage-objects.ts';
import type { BackupStore } from './stores/store.ts';
import { readVaultKey } from './vault-key.ts';

type Input = z.infer<(typeof contract)['input']>;
type Output = z.infer<typeof writtenPart>;
type File = Output['files'][number];
type Before = { there: string[] };

export const notePath = (input: Pick<Input, 'target' | 'id'>, part: Pick<PlannedPart, 'file'>): string =>
  `${folderOf(input.target, input.id)}/${part.file}.note.json`;
const contentsName = (part: PlannedPart, codec: Input['codec']): string =>
  `${part.file.split('.')[0]}.contents.json.${extensionOf[codec]}.pgp`;

/** `placeOf` is another way to the server than the target's own, for a database that bears another name now. */
export function writePart(deps: BackupDeps, placeOf: typeof databaseOf = databaseOf) {
  return defineHandler(contract, {
    /** What lies there already is of earlier parts; an undo leaves it. */
    async prepare(ctx, input): Promise<Before> {
      const store = await storeOf(deps, ctx, input.store);
      return { there: (await store.list(folderOf(input.target, input.id))).map(({ path }) => path) };
    },
    async run(ctx, input): Promise<Output> {
      const began = ctx.now();
      const { part } = input;
      const store = await storeOf(deps, ctx, input.store);
      const place = await placeOf(ctx, input.target);
      await store.sweep(folderOf(input.target, input.id));
      const write = await writerOf(deps, ctx, input, store);
      let firstByteMs = 0;
      const files: File[] = [];
      const add = async (role: File['role'], name: string, source: Source, more: Partial<WriteMore> = {}) => {
        const since = ctx.now() - began;
        const { firstByteMs: first, ...file } = await write(name, source, more);
        if (role === 'data') firstByteMs = since + first;
        files.push({ path: name, role, ...file });
        ctx.signal.throwIfAborted();
      };
      const counted = await writeFiles(deps, ctx, input, place, add).catch(async (error: unknown) => {
        // Half a part is no use to anybody.
        for (const { path } of files) await store.remove(pathIn(input, path)).catch(() => undefined);
        throw error;
      });
      const output: Output = {
        part: part.part,
        kind: part.kind,
        database: part.database,
        files,
        ...counted,
        firstByteMs,
        tookMs: ctx.now() - began,
      };
      await store.put(notePath(input, part), Readable.from([JSON.stringify(output)]), { signal: ctx.signal });
      return output;
    },
    async probe(ctx, input): Promise<Probe<Output>> {
      const store = await storeOf(deps, ctx, input.store);
      const place = await placeOf(ctx, input.target);
      await endSessionsOf(place, ctx.key).catch(() => undefined); // a server that is away runs nothing of ours for long
      const note = await readNote(store, notePath(input, input.part));
      if (note) {
        const sizes = await Promise.all(
          note.files.map(async ({ path, bytes }) => (await store.stat(pathIn(input, path)))?.bytes === bytes),
        );
        if (sizes.every(Boolean)) return { state: 'applied', output: note };
        return { state: 'partial', say: 'a file of the part is not as its note says.' };
      }
      const there = await Promise.all(namesOf(input).map((name) => store.stat(pathIn(input, name))));
      return there.some(Boolean) ? { state: 'partial', say: 'the part was begun and not finished.' } : { state: 'absent' };
    },
    async undo(ctx, input, { there }: Before) {
      const store = await storeOf(deps, ctx, input.store);
      const ours = [notePath(input, input.part), ...namesOf(input).map((name) => pathIn(input, name))];
      for (const path of ours) if (!there.includes(path)) await store.remove(path);
      await store.sweep(folderOf(input.target, input.id));
      await store.removeFolder(folderOf(input.target, input.id));
    },
  });
}

const namesOf = ({ part, codec }: Input): string[] => [part.file, contentsName(part, codec)];
const pathIn = (input: Pick<Input, 'target' | 'id'>, name: string): string => `${folderOf(input.target, input.id)}/${name}`;

/** Undefined when there is none, or it cannot be read. */
export async function readNote(store: BackupStore, path: string): Promise<Output | undefined> {
  if (!(await store.stat(path))) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of await store.open(path)) chunks.push(chunk as Buffer); // a file's stream gives buffers
  try {
    return writtenPart.parse(JSON.parse(Buffer.concat(chunks).toString()));
  } catch {
    return undefined;
  }
}

type Counted = Pick<Output, 'tables' | 'rows' | 'missing'>;
const none: Counted = { tables: null, rows: null, missing: [] };
type WriteMore = { ended: Promise<void>; expect: number | null; progress: string; see: WriteOptions['see'] };
type Add = (role: File['role'], name: string, source: Source, more?: Partial<WriteMore>) => Promise<void>;

async function writerOf(deps: BackupDeps, ctx: EffectContext, input: Input, store: BackupStore) {
  const codec = await chooseCodec(input.codec);
  const to = await readersOf(deps, ctx, input.keyId);
  return (name: string, source: Source, { ended, expect, progress, see }: Partial<WriteMore>) =>
    writeEncrypted({
      source,
      codec,
      to,
      store,
      path: pathIn(input, name),
      signal: ctx.signal,
      now: ctx.now,
      ...(ended ? { sourceEnded: ended } : {}),
      ...(see ? { see } : {}),
      ...(typeof expect === 'number' ? { expect } : {}),
      ...(progress === undefined ? {} : { onBytes: createProgress(progress, expect ?? undefined, ctx.now, ctx.progress) }),
    });
}

async function writeFiles(deps: BackupDeps, ctx: EffectContext, input: Input, place: DatabasePlace, add: Add): Promise<Counted> {
  const { part, codec } = input;
  switch (part.kind) {
    case 'database':
      return writeDatabase(ctx, input, place, add);
    case 'roles': {
      const document = await inSession(place, ctx, (client) => superuserIn(client).then((superuser) => readRoles(client, superuser)));
      await add('data', part.file, Readable.from([rolesScript(document)]));
      await add('contents', contentsName(part, codec), Readable.from([JSON.stringify(document)]));
      return none;
    }
    case 'environment': {
      const document = await readEnvironment(deps, ctx, await ctx.target(input.target));
      await add('data', part.file, Readable.from([`${JSON.stringify(document, null, 1)}\n`]));
      return none;
    }
    case 'vault-key': {
      const target = await ctx.target(input.target);
      const text = await inSession(place, ctx, async (client) =>
        readVaultKey(deps, ctx, { client, superuser: await superuserIn(client), target }),
      );
      await add('data', part.file, Readable.from([text]));
      return none;
    }
    case 'storage':
      return writeStorage(ctx, input, place, add);
    case 'functions':
      return writeFunctions(deps, ctx, input, add);
    default:
      return part.kind satisfies never;
  }
}

async function writeDatabase(ctx: EffectContext, input: Input, place: DatabasePlace, add: Add): Promise<Counted> {
  const { part, kind, codec } = input;
  const database = part.database ?? place.database;
  const client = await openSession(place, ctx.key, database);
  let dump: Awaited<ReturnType<typeof startReading>> | undefined;
  try {
    await client.query('begin transaction isolation level repeatable read, read only');
    const { rows } = await client.query<{ id: string; major: number }>(
      `select pg_export_snapshot() as id, current_setting('server_version_num')::int / 10000 as major`,
    );
    const [snapshot] = rows;
    if (!snapshot) throw new TypeError('a select without from answers one row');
    const program = await pgClientFor('pg_dump', snapshot.major);
    const { dbname, ...libpq } = libpqOf(place, ctx.key, database);
    const sections = { full: [], schema: ['--schema-only'], data: ['--data-only'] }[kind];
    dump = await startReading({
      file: program.file,
      args: ['-Fc', '-Z0', ...sections, `--snapshot=${snapshot.id}`, '--lock-wait-timeout=60s', '--no-password', `--dbname=${dbname}`],
      signal: ctx.signal,
      ...libpq,
    });
    const tap = createArchiveTap();
    const { pieces, ended } = dump;
    await add('data', part.file, pieces, { ended, expect: part.expectBytes, progress: `Database ${database}`, see: tap.see });
    const figures = tap.figures();
    await add('contents', contentsName(part, codec), Readable.from([JSON.stringify(toContents(await observe(client, database), figures))]));
    if (!figures.known) return none;
    return { ...none, tables: figures.tables.length, rows: figures.tables.reduce((sum, table) => sum + table.rows, 0) };
  } finally {
    dump?.stop(); // when the store failed, nobody reads what it writes any more
    await client.end().catch(() => undefined);
  }
}

async function writeStorage(ctx: EffectContext, { part, codec, target }: Input, place: DatabasePlace, add: Add): Promise<Counted> {
  const access = await storageAccess(ctx, await ctx.target(target));
  if (!access)
    throw new AppError('PART_UNREACHABLE', {
      message: `The target ${target} has no address or service key any more, so its storage objects cannot be read.`,
      fix: 'Store them with the target, or leave storage out of `parts`.',
    });
  return inSession(place, ctx, async (client) => {
    const { tar, ended, contents } = await packObjects(client, access, ctx.signal);
    await add('data', part.file, tar, { ended, expect: part.expectBytes, progress: 'Storage objects' });
    await add('contents', contentsName(part, codec), Readable.from([JSON.stringify(contents())]));
    const { lost } = contents();
    return {
      ...none,
      missing: lost.length === 0 ? [] : [{ part: `${lost.length} storage objects`, why: `The first: ${lost[0]?.why}.` }],
    };
  });
}

async function writeFunctions(deps: BackupDeps, ctx: EffectContext, { part, codec, target }: Input, add: Add): Promise<Counted> {
  const folder = await functionsFolderOf(deps, ctx, await ctx.target(target));
  if (!folder)
    throw new AppError('PART_UNREACHABLE', {
      message: `The target ${target} is not reached through a Dokploy any more, so its functions folder cannot be read.`,
      fix: 'Leave functions out of `parts`.',
    });
  const { tar, contents, others } = await packFunctions(folder);
  await add('data', part.file, tar, { expect: part.expectBytes, progress: 'Functions folder' });
  await add('contents', contentsName(part, codec), Readable.from([JSON.stringify(contents)]));
  const why = 'Of the functions folder only files are taken, no links.';
  return { ...none, missing: others === 0 ? [] : [{ part: `${others} links of the functions folder`, why }] };
}

async function inSession<T>(place: DatabasePlace, ctx: EffectContext, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await openSession(place, ctx.key);
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function superuserIn(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ on: boolean }>(`select current_setting('is_superuser') = 'on' as on`);
  return rows[0]?.on === true;
}
