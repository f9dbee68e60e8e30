/** Compression before encryption: node's own zstd, else the program zstd, else gzip, which is always there. */
import { Duplex } from 'node:stream';
import * as zlib from 'node:zlib';
import { AppError } from '../../errors.ts';
import { startChild } from './child.ts';
import { onPath } from './programs.ts';

export type Codec = 'zstd' | 'gzip';
export type CodecChoice = { codec: Codec; by: 'node' | 'program'; file?: string };

/** Node 22.15 and newer carry zstd; the types of Node 20 do not know it. */
type ZstdOfNode = {
  createZstdCompress?: (options: { params: Record<number, number> }) => Duplex;
  createZstdDecompress?: () => Duplex;
  constants: { ZSTD_c_compressionLevel?: number };
};
const ofNode = zlib as unknown as ZstdOfNode;

export const extensionOf: Record<Codec, string> = { zstd: 'zst', gzip: 'gz' };

/** Without a wish the best one here; gzip is the last rung. Throws ZSTD_MISSING when zstd is wished for and nobody here writes it. */
export async function chooseCodec(wished?: Codec): Promise<CodecChoice> {
  if (wished === 'gzip') return { codec: 'gzip', by: 'node' };
  if (ofNode.createZstdCompress) return { codec: 'zstd', by: 'node' };
  const file = await onPath('zstd');
  if (file !== undefined) return { codec: 'zstd', by: 'program', file };
  if (wished === 'zstd') throw zstdMissing('The backup was begun with zstd, and neither this Node nor the machine can write it.');
  return { codec: 'gzip', by: 'node' };
}

export function compress(choice: CodecChoice, signal?: AbortSignal): Duplex {
  if (choice.codec === 'gzip') return zlib.createGzip({ level: 1 });
  if (choice.by === 'node' && ofNode.createZstdCompress)
    return ofNode.createZstdCompress({ params: { [ofNode.constants.ZSTD_c_compressionLevel ?? 100]: 3 } });
  return throughProgram(choice.file ?? 'zstd', ['-3', '-q', '-c'], signal);
}

/** Throws ZSTD_MISSING where the file was written with zstd and nothing here reads it. */
export async function decompress(codec: Codec, signal?: AbortSignal): Promise<Duplex> {
  if (codec === 'gzip') return zlib.createGunzip();
  if (ofNode.createZstdDecompress) return ofNode.createZstdDecompress();
  const file = await onPath('zstd');
  if (file !== undefined) return throughProgram(file, ['-d', '-q', '-c'], signal);
  throw zstdMissing('The backup is compressed with zstd, and neither this Node nor the machine can read it.');
}

function zstdMissing(message: string): AppError {
  return new AppError('ZSTD_MISSING', { message, fix: 'Install it: apt-get install -y zstd, or run Capstan with Node 22.15 or newer.' });
}

/** A child as one stream; its bad end is an error of the stream, and its good end comes before the stream's. */
function throughProgram(file: string, args: string[], signal?: AbortSignal): Duplex {
  const child = startChild({ file, args, ...(signal ? { signal } : {}) });
  async function* out() {
    yield* child.stdout;
    await child.ended;
  }
  return Duplex.from({ writable: child.stdin, readable: out() });
}
