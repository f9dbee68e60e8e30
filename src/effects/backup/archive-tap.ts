/**
 * Reads along while pg_dump's custom format goes by, and tells rows and checksum of each table. Invariants:
 * 1. Not a byte is changed or kept: a piece may be filled anew as soon as it was seen.
 * 2. The figures come from what is stored, so they are those of the dump's own snapshot and cost the server nothing.
 * 3. A format that this file does not know is said (`known: false`), never guessed.
 * A checksum is the SHA-256 of the table's COPY text in stored order; the same COPY of a restored table gives it again.
 */
import { createHash, type Hash } from 'node:crypto';

export type TableFigures = {
  schema: string;
  table: string;
  rows: number;
  bytes: number;
  sha256: string /** `COPY s.t (a, b) FROM stdin;` */;
  copy: string;
};
export type ArchiveFigures = {
  known: boolean;
  server: string;
  tables: TableFigures[];
  largeObjects: { count: number; bytes: number; sha256: string };
};

type Entry = { schema: string; table: string; copy: string };
type Int = { value: number; next: number };
type Text = { value: string | null; next: number };

const endOfCopy = Buffer.from('\\.\n\n\n');
const newline = 10;
const scratchBytes = 64 * 1024;

export type ArchiveTap = { see(piece: Buffer): void; figures(): ArchiveFigures };

type Mode = 'header' | 'entry' | 'block' | 'oid' | 'length' | 'data' | 'lost';

export function createArchiveTap(): ArchiveTap {
  let mode: Mode = 'header';
  let rest: Buffer = Buffer.alloc(0);
  let intBytes = 4;
  let offsetBytes = 8;
  let minor = 0;
  let entriesLeft = 0;
  let server = '';
  let left = 0;
  let blobs = false;
  const entries = new Map<number, Entry>();
  const tables: TableFigures[] = [];
  const objects = { count: 0, bytes: 0, hash: createHash('sha256') };
  let table: (Entry & ReturnType<typeof createCounter>) | undefined;

  const int = (buffer: Buffer, at: number): Int | undefined => {
    if (buffer.length < at + 1 + intBytes) return undefined;
    const value = buffer.readUIntLE(at + 1, intBytes);
    return { value: buffer[at] === 0 ? value : -value, next: at + 1 + intBytes };
  };
  const text = (buffer: Buffer, at: number): Text | undefined => {
    const length = int(buffer, at);
    if (!length) return undefined;
    if (length.value < 0) return { value: null, next: length.next };
    const next = length.next + length.value;
    return buffer.length < next ? undefined : { value: buffer.toString('utf8', length.next, next), next };
  };

  /** Position after what was read, undefined when more bytes are needed. */
  const readHeader = (buffer: Buffer): number | undefined => {
    if (buffer.length < 12) return undefined;
    minor = buffer[6] ?? 0;
    const known = buffer.toString('latin1', 0, 5) === 'PGDMP' && buffer[5] === 1 && minor >= 14 && minor <= 16 && buffer[10] === 1;
    if (!known) {
      mode = 'lost';
      return 0;
    }
    intBytes = buffer[8] ?? 4;
    offsetBytes = buffer[9] ?? 8;
    let at: number | undefined = 11;
    if (minor >= 15) at += 1;
    else at = int(buffer, at)?.next;
    for (let field = 0; field < 7 && at !== undefined; field++) at = int(buffer, at)?.next;
    const texts: string[] = [];
    for (let field = 0; field < 3 && at !== undefined; field++) {
      const found: Text | undefined = text(buffer, at);
      texts.push(found?.value ?? '');
      at = found?.next;
    }
    const count = at === undefined ? undefined : int(buffer, at);
    if (!count) return undefined;
    server = texts[1] ?? '';
    entriesLeft = count.value;
    mode = entriesLeft > 0 ? 'entry' : 'block';
    return count.next;
  };

  const readEntry = (buffer: Buffer, from: number): number | undefined => {
    const id = int(buffer, from);
    let at = id && int(buffer, id.next)?.next;
    const next = (): string | null | undefined => {
      const found = at === undefined ? undefined : text(buffer, at);
      at = found?.next;
      return found?.value;
    };
    next(); // table oid
    next(); // oid
    const [tag, desc] = [next(), next()];
    at = at === undefined ? undefined : int(buffer, at)?.next; // section
    next(); // definition
    next(); // drop statement
    const copy = next();
    const namespace = next();
    next(); // tablespace
    next(); // access method
    if (minor >= 16) at = at === undefined ? undefined : int(buffer, at)?.next; // relkind
    next(); // owner
    next(); // with oids
    for (let dependency = next(); dependency !== null; dependency = next()) if (dependency === undefined) return undefined;
    if (at === undefined || buffer.length < at + 1 + offsetBytes) return undefined;
    if (desc === 'TABLE DATA' && id) entries.set(id.value, { schema: namespace ?? '', table: tag ?? '', copy: (copy ?? '').trim() });
    entriesLeft -= 1;
    if (entriesLeft === 0) mode = 'block';
    return at + 1 + offsetBytes;
  };

  const readBlock = (buffer: Buffer, from: number): number | undefined => {
    const id = int(buffer, from + 1);
    if (!id) return undefined;
    blobs = buffer[from] === 3;
    if (!blobs && buffer[from] !== 1) {
      mode = 'lost';
      return from;
    }
    const entry = entries.get(id.value);
    table = blobs || !entry ? undefined : { ...entry, ...createCounter() };
    mode = blobs ? 'oid' : 'length';
    return id.next;
  };

  const readOid = (buffer: Buffer, from: number): number | undefined => {
    const oid = int(buffer, from);
    if (!oid) return undefined;
    if (oid.value === 0) mode = 'block';
    else {
      objects.count += 1;
      objects.hash.update(`${oid.value}\n`);
      mode = 'length';
    }
    return oid.next;
  };

  // One of these per row: nothing is allocated here.
  const readLength = (buffer: Buffer, from: number): number | undefined => {
    const next = from + 1 + intBytes;
    if (buffer.length < next) return undefined;
    left = buffer[from] === 0 ? buffer.readUIntLE(from + 1, intBytes) : 0;
    if (left > 0) mode = 'data';
    else {
      if (table) {
        const { schema, table: name, copy } = table;
        tables.push({ schema, table: name, ...table.end(), copy });
      }
      table = undefined;
      mode = blobs ? 'oid' : 'block';
    }
    return next;
  };

  const readData = (buffer: Buffer, from: number): number => {
    const end = Math.min(buffer.length, from + left);
    table?.add(buffer, from, end);
    if (blobs) {
      objects.bytes += end - from;
      objects.hash.update(buffer.subarray(from, end));
    }
    left -= end - from;
    if (left === 0) mode = 'length';
    return end;
  };

  const step = (buffer: Buffer, at: number): number | undefined => {
    switch (mode) {
      case 'header':
        return readHeader(buffer);
      case 'entry':
        return readEntry(buffer, at);
      case 'block':
        return readBlock(buffer, at);
      case 'oid':
        return readOid(buffer, at);
      case 'length':
        return readLength(buffer, at);
      case 'data':
        return readData(buffer, at);
      case 'lost':
        return buffer.length;
      default:
        return mode satisfies never;
    }
  };

  return {
    see(piece) {
      const buffer = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      let at = 0;
      while (at < buffer.length) {
        const next = step(buffer, at);
        if (next === undefined) break;
        at = next;
      }
      rest = at < buffer.length ? Buffer.from(buffer.subarray(at)) : Buffer.alloc(0);
    },
    figures: () => ({
      known: mode === 'block' && rest.length === 0,
      server,
      tables,
      largeObjects: { count: objects.count, bytes: objects.bytes, sha256: objects.hash.copy().digest('hex') },
    }),
  };
}

/** Counts and hashes one table's COPY text; rows come one by one, so they are gathered before the hash sees them. */
export function createCounter() {
  const hash: Hash = createHash('sha256');
  const scratch = Buffer.allocUnsafe(scratchBytes);
  let filled = 0;
  let rows = 0;
  let bytes = 0;
  /** All but the last bytes, which may be the end mark: that is no row. */
  const flush = () => {
    if (filled <= endOfCopy.length) return;
    hash.update(scratch.subarray(0, filled - endOfCopy.length));
    scratch.copy(scratch, 0, filled - endOfCopy.length, filled);
    filled = endOfCopy.length;
  };
  const countRows = (buffer: Buffer, from: number, to: number) => {
    // A row mostly ends where its bytes end: then one look is enough.
    for (let at = buffer.indexOf(newline, from); at >= 0 && at < to; at = buffer.indexOf(newline, at + 1)) {
      rows += 1;
      if (at === to - 1) return;
    }
  };
  return {
    add(buffer: Buffer, from: number, to: number) {
      bytes += to - from;
      countRows(buffer, from, to);
      for (let at = from; at < to; ) {
        if (filled === scratchBytes) flush();
        const took = buffer.copy(scratch, filled, at, to);
        filled += took;
        at += took;
      }
    },
    end(): { rows: number; bytes: number; sha256: string } {
      const marked = filled >= endOfCopy.length && scratch.subarray(filled - endOfCopy.length, filled).equals(endOfCopy);
      if (marked) {
        rows -= endOfCopy.toString('latin1').split('\n').length - 1;
        bytes -= endOfCopy.length;
        filled -= endOfCopy.length;
      }
      hash.update(scratch.subarray(0, filled));
      return { rows, bytes, sha256: hash.digest('hex') };
    },
  };
}
