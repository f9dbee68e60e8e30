/** What went by: bytes, SHA-256, and progress at every tenth, at least each two seconds. */
import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';

export type Meter = { stream: Transform; bytes(): number /** Of all that went by; once, after the end. */; sha256(): string };

export function createMeter(onBytes?: (bytes: number) => void): Meter {
  const hash = createHash('sha256');
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      onBytes?.(bytes);
      done(null, chunk);
    },
  });
  return { stream, bytes: () => bytes, sha256: () => hash.digest('hex') };
}

export type Report = (say: string, percent?: number) => void;

/** Below this nobody waits for a tenth. */
const smallest = 1_000_000;

/**
 * Turns a growing count into sentences: each tenth of `expected`, each tenth more than was told last, and each two seconds where it is slow.
 * A guess of the size that is far too large or too small, or none, so never makes a silence of more than a tenth of what there is.
 */
export function createProgress(what: string, expected: number | undefined, now: () => number, report: Report): (bytes: number) => void {
  const began = now();
  let tenth = 0;
  let toldAt = began;
  let told = smallest;
  return (bytes) => {
    const at = now();
    const reached = expected === undefined || expected <= 0 ? 0 : Math.min(9, Math.floor((10 * bytes) / expected));
    if (reached <= tenth && bytes < told * 1.1 && at - toldAt < 2_000) return;
    told = Math.max(smallest, bytes);
    tenth = Math.max(tenth, reached);
    toldAt = at;
    const rate = at > began ? bytes / ((at - began) / 1_000) : bytes;
    const percent = expected === undefined || expected <= 0 ? undefined : Math.min(99, Math.floor((100 * bytes) / expected));
    report(`${what}: ${sayBytes(bytes)}, ${sayBytes(rate)}/s`, percent);
  };
}

/** `12.3 MB`; powers of 1,000. */
export function sayBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
