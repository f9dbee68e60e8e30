/** Programs write in pieces of a few kB; every later step costs per piece, so they go on as larger ones. */
import { Transform } from 'node:stream';

const pieceBytes = 128 * 1024;

/** The same bytes in pieces of 128 KB, the last one as it comes. Holds one piece. */
export function createGather(bytes: number = pieceBytes): Transform {
  let piece = Buffer.allocUnsafe(bytes);
  let filled = 0;
  return new Transform({
    readableHighWaterMark: 1,
    writableHighWaterMark: 1,
    transform(chunk: Buffer, _encoding, done) {
      for (let from = 0; from < chunk.length; ) {
        const took = chunk.copy(piece, filled, from);
        filled += took;
        from += took;
        if (filled < bytes) break;
        this.push(piece);
        piece = Buffer.allocUnsafe(bytes);
        filled = 0;
      }
      done();
    },
    flush(done) {
      done(null, filled === 0 ? undefined : piece.subarray(0, filled));
    },
  });
}
