/**
 * The one opener of the store's database (engine.md D1-D3). Invariants:
 * D1 WAL, synchronous FULL and foreign keys are set and asserted on every connection; the driver waits 30 ms, the rest is asynchronous.
 * D2 No iterator or read transaction lives across an await: every statement here is synchronous.
 * D3 Each write transaction checks the schema version and stops when it moved, or when another file took the database's place.
 */
import Database from 'better-sqlite3';
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3';
import { AppError } from '../../errors.ts';
import { watchFile } from './same-file.ts';
import * as schema from './schema.ts';

export type Db = BetterSQLite3Database<typeof schema>;
export type Sqlite = Database.Database;

export type Connection = {
  db: Db;
  sqlite: Sqlite;
  /** BEGIN IMMEDIATE; a busy database is tried again with jitter for 10 s, then STORE_BUSY (C2, D1). */
  write<T>(body: (db: Db) => T): Promise<T>;
  read<T>(body: (db: Db) => T): Promise<T>;
  close(): void;
};

const patienceMs = 10_000;

/**
 * Opens and checks a connection. Throws STORE_DAMAGED, STORE_UNREADABLE. `schemaVersion` is asserted in every write when given;
 * `onLeft` is called when this process can never write here again (UPGRADED_RESTART, STORE_REPLACED).
 */
export function openDatabase(path: string, schemaVersion?: number, onLeft?: () => void): Connection {
  const sqlite = openSqlite(path);
  const db = drizzle(remembering(sqlite), { schema });
  const file = watchFile(path);
  return {
    db,
    sqlite,
    write: groupedWrites(sqlite, db, { assertSame: file.beforeWrite, schemaVersion, onLeft }),
    read: (body) =>
      patiently(() => {
        file.beforeRead();
        return body(db);
      }),
    close: () => sqlite.close(),
  };
}

type Job = { body: (db: Db) => unknown; resolve: (value: unknown) => void; reject: (error: unknown) => void };
type Result = { ok: true; value: unknown } | { ok: false; error: unknown };

const groupSize = 64;

/**
 * Writes that are asked for in one turn of the event loop share one BEGIN IMMEDIATE and one synced COMMIT, a savepoint each;
 * nobody is answered before that COMMIT (engine.md C4).
 */
function groupedWrites(
  sqlite: Sqlite,
  db: Db,
  { assertSame, schemaVersion, onLeft }: { assertSame: () => void; schemaVersion: number | undefined; onLeft: (() => void) | undefined },
): Connection['write'] {
  const waiting: Job[] = [];
  let busy = false;

  const savepoint = (job: Job): Result => {
    try {
      return { ok: true, value: sqlite.transaction(() => job.body(db))() };
    } catch (error) {
      if (!sqlite.inTransaction) throw error; // a full disk ends the whole transaction: nobody's write took place
      return { ok: false, error };
    }
  };
  const runGroup = (jobs: Job[]): Result[] =>
    sqlite
      .transaction(() => {
        assertSame();
        if (schemaVersion !== undefined) assertVersion(sqlite, schemaVersion);
        return jobs.map(savepoint);
      })
      .immediate();

  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const jobs = waiting.splice(0, groupSize);
      try {
        const results = await patiently(() => runGroup(jobs));
        results.forEach((result, index) => {
          if (result.ok) jobs[index]?.resolve(result.value);
          else jobs[index]?.reject(toStoreError(result.error, 'the store'));
        });
      } catch (error) {
        for (const job of jobs) job.reject(error);
        if (error instanceof AppError && (error.code === 'UPGRADED_RESTART' || error.code === 'STORE_REPLACED')) onLeft?.();
      }
      if (waiting.length > 0) await new Promise((resolve) => setImmediate(resolve)); // the event loop turns between two groups (D1)
    }
    busy = false;
  };

  return <T>(body: (db: Db) => T) =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ body, resolve: resolve as Job['resolve'], reject }); // the value is what this very body returned
      if (busy) return;
      busy = true;
      setImmediate(() => void flush());
    });
}

function openSqlite(path: string): Sqlite {
  try {
    const sqlite = new Database(path, { timeout: 5_000 }); // opening may wait; working may not (D1)
    sqlite.pragma('journal_mode = WAL');
    sqlite.pragma('synchronous = FULL');
    sqlite.pragma('foreign_keys = ON');
    sqlite.pragma('journal_size_limit = 1048576');
    sqlite.pragma('busy_timeout = 30');
    const [mode, level] = [sqlite.pragma('journal_mode', { simple: true }), sqlite.pragma('synchronous', { simple: true })];
    if (mode !== 'wal' || level !== 2)
      throw new AppError('STORE_UNSAFE', {
        message: `The database ${path} refuses WAL or full synchronisation.`,
        fix: 'Put CAPSTAN_HOME on a local disk.',
      });
    return sqlite;
  } catch (error) {
    throw toStoreError(error, path);
  }
}

/** Compiles each statement once: the same text comes again with every step. */
function remembering(sqlite: Sqlite): Sqlite {
  const statements = new Map<string, Database.Statement>();
  const prepare = sqlite.prepare.bind(sqlite);
  return Object.assign(sqlite, {
    prepare: (text: string) => {
      const known = statements.get(text) ?? prepare(text);
      if (statements.size < 500) statements.set(text, known);
      return known;
    },
  });
}

function assertVersion(sqlite: Sqlite, expected: number): void {
  const found = sqlite.pragma('user_version', { simple: true });
  if (found !== expected) {
    throw new AppError('UPGRADED_RESTART', {
      message: `Another version of Capstan has upgraded the store to ${String(found)}; this process knows ${expected}.`,
      fix: 'Restart this process with the newer version.',
      retry: 'ask',
    });
  }
}

/** Tries a busy database again with jitter for 10 s; throws STORE_BUSY and SQLite's other errors with a sentence. */
export async function patiently<T>(body: () => T): Promise<T> {
  const until = Date.now() + patienceMs;
  for (let tries = 0; ; tries++) {
    try {
      return body();
    } catch (error) {
      if (!isBusy(error) || Date.now() > until) throw toStoreError(error, 'the store');
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * Math.min(100, 2 ** tries)));
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : '';
}

export function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_BUSY') || codeOf(error) === 'SQLITE_LOCKED';
}

/** SQLite's own errors with a sentence and a next step; anything else passes. */
export function toStoreError(error: unknown, where: string): unknown {
  const code = codeOf(error);
  const cause = error;
  if (isBusy(error))
    return new AppError('STORE_BUSY', {
      message: `The store was locked by other processes for ${patienceMs / 1000} s.`,
      fix: 'Try again; look for a stuck process with capstan check.',
      retry: 'later',
      cause,
    });
  if (code === 'SQLITE_FULL' || code.startsWith('SQLITE_IOERR'))
    return new AppError('DISK_FULL', {
      message: `The disk that holds ${where} is full or fails (${code}).`,
      fix: 'Free some space; nothing was lost, the run goes on where it was.',
      retry: 'later',
      cause,
    });
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)/.test(code))
    // with their extended codes
    return new AppError('STORE_UNREADABLE', {
      message: `The database ${where} cannot be opened for writing (${code}).`,
      fix: 'Check the owner and mode of CAPSTAN_HOME.',
      cause,
    });
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code))
    return new AppError('STORE_DAMAGED', {
      message: `The database ${where} is damaged (${code}).`,
      fix: 'Keep a copy of it, then restore the newest copy next to it (capstan.db.before-*), or start with an empty CAPSTAN_HOME.',
      cause,
    });
  return error;
}
