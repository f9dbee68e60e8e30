/** The programs of other people that a backup needs, and what to type where one is missing. */
import { execFile } from 'node:child_process';
import { access, constants, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../errors.ts';

const run = promisify(execFile);
const debianRoot = '/usr/lib/postgresql';

export type PgTool = 'pg_dump' | 'pg_restore';
export type PgClient = { file: string; major: number; text: string };

/** Absolute path of a program on PATH; the shell reads PATH, so that it is read where it belongs. */
export async function onPath(name: string): Promise<string | undefined> {
  try {
    const { stdout } = await run('/bin/sh', ['-c', 'command -v "$0"', name]);
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Every usable copy of a Postgres client program: on PATH, then those of Debian and Ubuntu, newest first. */
export async function findPgClients(tool: PgTool, root: string = debianRoot): Promise<PgClient[]> {
  const versions = (await readdir(root).catch(() => [])).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a));
  const files = [await onPath(tool), ...versions.map((version) => join(root, version, 'bin', tool))];
  const found: PgClient[] = [];
  for (const file of files) {
    if (file === undefined || !(await isProgram(file))) continue;
    const text = await versionOf(file);
    const major = Number(/\b(\d+)(?:\.\d+|devel|beta|rc)/.exec(text)?.[1]);
    if (Number.isInteger(major) && !found.some((known) => known.major === major)) found.push({ file, major, text });
  }
  return found;
}

/** The client of the server's own major, else the oldest that is newer. Pure; undefined when all are older (a client refuses a newer server). */
export function chooseClient(clients: readonly PgClient[], serverMajor: number): PgClient | undefined {
  return [...clients].sort((a, b) => a.major - b.major).find((client) => client.major >= serverMajor);
}

/** Throws PG_CLIENT_MISSING and PG_CLIENT_TOO_OLD, both with the command that installs the right one. */
export async function pgClientFor(tool: PgTool, serverMajor: number, root?: string): Promise<PgClient> {
  const clients = await findPgClients(tool, root);
  const chosen = chooseClient(clients, serverMajor);
  if (chosen) return chosen;
  const fix = `Install it where Capstan runs: apt-get install -y postgresql-client-${serverMajor} (from apt.postgresql.org where your system is older), or brew install postgresql@${serverMajor}.`;
  if (clients.length === 0)
    throw new AppError('PG_CLIENT_MISSING', { message: `The program ${tool} is neither on PATH nor in ${root ?? debianRoot}.`, fix });
  const newest = Math.max(...clients.map(({ major }) => major));
  throw new AppError('PG_CLIENT_TOO_OLD', {
    message: `The server is Postgres ${serverMajor}, and the newest ${tool} here is ${newest}, which refuses a newer server.`,
    fix,
    details: { serverMajor, newest },
  });
}

async function versionOf(file: string): Promise<string> {
  try {
    return (await run(file, ['--version'])).stdout.trim();
  } catch {
    return '';
  }
}

function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
