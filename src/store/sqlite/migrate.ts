/**
 * Forward-only migrations (engine.md D3): lock, copy, BEGIN IMMEDIATE, re-check, apply. A newer schema is refused.
 * The migration files are made by drizzle-kit from schema.ts; a file's number plus one is the schema version after it.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { packageFile } from '../../package-root.ts';
import { openDatabase, patiently, type Sqlite } from './database.ts';
import { lockFile } from './lock-file.ts';

const folder = (): string => packageFile('src', 'store', 'sqlite', 'migrations');

/** The migrations in order, each as its statements. */
export function readMigrations(from = folder()): { name: string; statements: string[] }[] {
  return readdirSync(from)
    .filter((name) => /^\d{4}_.*\.sql$/.test(name))
    .sort()
    .map((name) => ({ name, statements: readFileSync(join(from, name), 'utf8').split('--> statement-breakpoint') }));
}

/** Brings the database to this version. Throws SCHEMA_NEWER; several processes may call it at once. Returns the version. */
export async function migrate(path: string, lockPath: string, migrations = readMigrations()): Promise<number> {
  const target = migrations.length;
  if (versionOf(path) === target) return target;
  const lock = await lockFile(lockPath, { waitMs: 30_000 });
  try {
    const { sqlite, close } = openDatabase(path);
    try {
      const found = versionIn(sqlite);
      if (found > target) throw newer(path, found, target);
      if (found > 0 && found < target) await keepCopy(sqlite, `${path}.before-${target}`);
      if (found < target) await patiently(() => apply(sqlite, migrations, target));
    } finally {
      close();
    }
  } finally {
    lock.release();
  }
  return target;
}

/** Written aside first: a copy that a killed upgrade left half done is made anew. */
async function keepCopy(sqlite: Sqlite, copy: string): Promise<void> {
  const aside = `${copy}.new`;
  await patiently(() => {
    rmSync(aside, { force: true });
    sqlite.prepare('VACUUM INTO ?').run(aside);
  });
  renameSync(aside, copy);
}

function apply(sqlite: Sqlite, migrations: ReturnType<typeof readMigrations>, target: number): void {
  sqlite
    .transaction(() => {
      for (const { statements } of migrations.slice(versionIn(sqlite))) for (const statement of statements) sqlite.exec(statement);
      sqlite.pragma(`user_version = ${target}`);
    })
    .immediate();
}

function versionOf(path: string): number {
  if (!existsSync(path) || statSync(path).size === 0) return 0;
  const { sqlite, close } = openDatabase(path);
  try {
    return versionIn(sqlite);
  } finally {
    close();
  }
}

function versionIn(sqlite: Sqlite): number {
  return Number(sqlite.pragma('user_version', { simple: true }));
}

function newer(path: string, found: number, target: number): AppError {
  return new AppError('SCHEMA_NEWER', {
    message: `The database ${path} was written by a newer Capstan (schema ${found}, this one knows ${target}).`,
    fix: 'Use the newer version; nothing was changed.',
  });
}
