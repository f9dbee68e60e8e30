/**
 * One stream from its source to its store: compressed, encrypted, hashed and counted on the way; and back.
 * Nothing is gathered: what is held at one time are the buffers of the streams.
 */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../errors.ts';
import { type Codec, type CodecChoice, compress, decompress } from './codec.ts';
import { decrypt, type EncryptTo, encrypt } from './encryption.ts';
import { createMeter } from './meter.ts';
import type { BackupStore } from './stores/store.ts';

export type Written = {
  bytes: number;
  rawBytes: number;
  sha256: string /** From the call to the first stored byte. */;
  firstByteMs: number;
};

/** Its pieces may be filled anew as soon as the next one is asked for. */
export type Source = AsyncIterable<Buffer | string> & { destroy(error?: Error): unknown };

export type WriteOptions = {
  source: Source;
  /** Settles when the source knows that it gave everything, such as the end of a program. */
  sourceEnded?: Promise<void>;
  codec: CodecChoice;
  to: EncryptTo;
  store: BackupStore;
  path: string;
  expect?: number;
  onBytes?: (rawBytes: number) => void;
  /** Sees each piece of bytes as it goes by. */
  see?: (piece: Buffer) => void;
  signal?: AbortSignal;
  now: () => number;
};

/** The file is whole and synced when this resolves; on any failure nothing of it is left in the store. */
export async function writeEncrypted(options: WriteOptions): Promise<Written> {
  const { source, sourceEnded, codec, to, store, path, expect, onBytes, see, signal, now } = options;
  const began = now();
  const compressed = compress(codec, signal);
  let firstByteMs = 0;
  const stored = createMeter((bytes) => {
    if (firstByteMs === 0 && bytes > 0) firstByteMs = Math.max(1, now() - began);
  });
  let rawBytes = 0;
  async function* whole() {
    for await (const piece of source) {
      rawBytes += Buffer.byteLength(piece);
      onBytes?.(rawBytes);
      if (typeof piece !== 'string') see?.(piece);
      yield piece;
    }
    await sourceEnded;
  }
  const streaming = signal ? { signal } : {};
  const failures: unknown[] = [];
  const all: Promise<unknown>[] = [];
  const watch = (work: Promise<unknown>) => {
    work.catch((error: unknown) => failures.push(error));
    all.push(work);
  };
  try {
    watch(pipeline(whole(), compressed, streaming));
    const encrypted = await encrypt(compressed, to);
    watch(pipeline(encrypted, stored.stream, { ...streaming, end: true }));
    watch(store.put(path, stored.stream, { ...streaming, ...(expect === undefined ? {} : { expect }) }));
    await Promise.all(all);
  } catch (error) {
    source.destroy();
    compressed.destroy();
    stored.stream.destroy(error instanceof Error ? error : undefined);
    await Promise.allSettled(all); // the store takes away what it began
    throw signal?.aborted ? signal.reason : (reasonOf(failures) ?? error);
  }
  return { bytes: stored.bytes(), rawBytes, sha256: stored.sha256(), firstByteMs };
}

export type ReadOptions = {
  store: BackupStore;
  path: string;
  codec: Codec;
  passphrase: string;
  /** What the manifest says of the stored file. */
  expected: { bytes: number; sha256: string };
  onBytes?: (bytes: number) => void;
  signal?: AbortSignal;
};

/**
 * The clear stream, and a promise that settles with its verdict: BACKUP_DAMAGED when the stored file is not the one of the manifest.
 * The stream may be read before; nothing of it counts until `verdict` has resolved.
 */
export async function readEncrypted(options: ReadOptions): Promise<{ clear: Readable; verdict: Promise<void> }> {
  const { store, path, codec, passphrase, expected, onBytes, signal } = options;
  const meter = createMeter(onBytes);
  const file = await store.open(path, signal);
  const read = pipeline(file, meter.stream, { ...(signal ? { signal } : {}) });
  read.catch(() => undefined);
  const decrypted = await decrypt(meter.stream, passphrase);
  const clear = await decompress(codec, signal);
  const unpacked = pipeline(decrypted, clear, { ...(signal ? { signal } : {}) });
  const verdict = (async () => {
    await unpacked.catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : damaged(path, error);
    });
    await read;
    if (meter.bytes() !== expected.bytes || meter.sha256() !== expected.sha256) throw damaged(path);
  })();
  verdict.catch(() => undefined);
  return { clear, verdict };
}

/** Compares the stored file with the manifest without opening it. Throws BACKUP_DAMAGED and BACKUP_FILE_MISSING. */
export async function checkHash({ store, path, expected, onBytes, signal }: Omit<ReadOptions, 'codec' | 'passphrase'>): Promise<void> {
  const found = await store.stat(path);
  if (found && found.bytes !== expected.bytes) throw damaged(path);
  const meter = createMeter(onBytes);
  await pipeline(await store.open(path, signal), meter.stream.resume(), { ...(signal ? { signal } : {}) });
  if (meter.bytes() !== expected.bytes || meter.sha256() !== expected.sha256) throw damaged(path);
}

function damaged(path: string, cause?: unknown): unknown {
  if (cause instanceof AppError && cause.code !== 'PROGRAM_FAILED') return cause;
  return new AppError('BACKUP_DAMAGED', {
    message: `The backup file ${path} is not the one that was written: it is cut, changed or swapped.`,
    fix: 'Use another backup; nothing was applied.',
    details: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** One side fails first and tears the others down: what came first and says something, before what only says that a stream ended. */
function reasonOf(failures: readonly unknown[]): unknown {
  return failures.find((error) => error instanceof AppError) ?? failures.find((error) => !isTornDown(error));
}

const tornDown = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END', 'EPIPE', 'ABORT_ERR']);
function isTornDown(error: unknown): boolean {
  return error instanceof Error && 'code' in error && tornDown.has(String(error.code));
}

const largestDocument = 256 * 1024 * 1024;

/** A small file as text; undefined when it is not there. */
export async function readText(store: BackupStore, path: string): Promise<string | undefined> {
  if (!(await store.stat(path))) return undefined;
  return (await gathered(await store.open(path))).toString();
}

/** A whole encrypted JSON document, its hash checked before it is believed. Throws BACKUP_DAMAGED and those of reading. */
export async function readDocument(options: ReadOptions): Promise<unknown> {
  const { clear, verdict } = await readEncrypted(options);
  const [text] = await Promise.all([gathered(clear), verdict]);
  return JSON.parse(text.toString());
}

async function gathered(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length; // streams of bytes give buffers
    if (bytes > largestDocument)
      throw new AppError('BACKUP_DAMAGED', {
        message: 'A document of the backup is larger than any that is written.',
        fix: 'Use another backup.',
      });
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
