/**
 * One Postgres server as a child process.
 * 1. It ends with us: `stop()` waits for its end, and when we are killed the shell in between sees its input close and shuts it down.
 * 2. As root it runs as nobody (65534): Postgres refuses root.
 * 3. It listens on 127.0.0.1, where every login needs a password, and on a socket in a folder that only its own user can enter, which
 *    trusts whoever comes, as inside Supabase's container.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { AppError } from '../../errors.ts';
import type { Binaries } from './binaries.ts';

const run = promisify(execFile);

export const nobody = 65534;

/** Postgres inherits nothing from us: no PG* variable bends it and no secret of ours stands in its environment. */
const childEnv = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

const asNobody = (): { uid?: number; gid?: number } => (process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {});

/** Runs the server and, beside it, waits for our end of the pipe to close; then shuts it down fast. */
const supervise = [
  'exec 3<&0',
  '"$@" </dev/null &',
  'server=$!',
  '( cat <&3 >/dev/null; kill -INT $server 2>/dev/null ) &',
  'watch=$!',
  'wait $server; code=$?',
  'kill $watch 2>/dev/null',
  'rmdir "$SOCKET_DIR" 2>/dev/null',
  'exit $code',
].join('\n');

export type Cluster = { port: number; socketDir: string; stop(): Promise<void> };

/** Invariant 3. Written at every start, so that a data folder of an earlier version follows. */
const hostBased = ['local all all trust', 'host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256', ''];

/** Its path must be short: a socket's name may have about 100 characters. */
async function makeSocketDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'capstan-pg-'));
  if (process.getuid?.() === 0) await chown(folder, nobody, nobody);
  return folder;
}

/** Makes a new data folder whose superuser is supabase_admin, as in Supabase's image; returns its password. */
export async function initCluster(binaries: Binaries, dataDir: string): Promise<string> {
  const password = randomBytes(24).toString('hex');
  const passwordFile = `${dataDir}.password`;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  await writeFile(passwordFile, password, { mode: 0o600 });
  const user = asNobody();
  if (user.uid !== undefined) await Promise.all([chown(dataDir, nobody, nobody), chown(passwordFile, nobody, nobody)]);
  const options = ['-U', 'supabase_admin', `--pwfile=${passwordFile}`, '-A', 'scram-sha-256', '-E', 'UTF8', '--no-locale', '--no-sync'];
  try {
    await run(binaries.initdb, ['-D', dataDir, ...options], { ...user, cwd: '/', env: childEnv });
  } catch (cause) {
    await rm(dataDir, { recursive: true, force: true });
    throw new AppError('SANDBOX_POSTGRES_FAILED', {
      message: `The sandbox could not create a Postgres data folder: ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: `Check that ${binaries.initdb} runs on this machine and that the disk has 100 MB free.`,
      cause,
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
  return password;
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('no TCP port');
  return address.port;
}

const fixedSettings = {
  listen_addresses: '127.0.0.1',
  // The folder may vanish with the machine; that is what a sandbox is for.
  fsync: 'off',
  synchronous_commit: 'off',
  wal_level: 'logical',
  shared_buffers: '32MB',
  max_wal_size: '128MB',
  logging_collector: 'off',
  log_destination: 'stderr',
  // Its line "ready to accept connections" is what we wait for.
  log_min_messages: 'warning',
  timezone: 'UTC',
};

async function launch(binaries: Binaries, dataDir: string, settings: Record<string, string>): Promise<Cluster> {
  const port = await freePort();
  const socketDir = await makeSocketDir();
  await writeFile(join(dataDir, 'pg_hba.conf'), hostBased.join('\n'));
  const own = { ...settings, ...fixedSettings, port: String(port), unix_socket_directories: socketDir };
  const options = Object.entries(own).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn('/bin/sh', ['-c', supervise, 'sandbox-postgres', binaries.postgres, '-D', dataDir, ...options], {
    ...asNobody(),
    cwd: '/',
    env: { ...childEnv, SOCKET_DIR: socketDir },
    // An own group: Ctrl-C at the terminal reaches us alone, and the whole group can be ended.
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  // Its end is told by `exit`; a pipe that breaks on the way there is no news.
  child.stdin.on('error', () => undefined);
  await ready(child, dataDir);
  return { port, socketDir, stop: () => stopChild(child) };
}

/** Waits for the server's own word that it accepts connections. */
async function ready(child: ChildProcess, dataDir: string): Promise<void> {
  const lines: string[] = [];
  if (child.stderr === null) throw new TypeError('stderr is piped');
  const reader = createInterface({ input: child.stderr });
  const accepted = new Promise<void>((resolve, reject) => {
    reader.on('line', (line) => {
      lines.push(line);
      if (lines.length > 20) lines.shift();
      if (line.includes('database system is ready to accept connections')) resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      const message = `Postgres in ${dataDir} ended with code ${code} at its start: ${lines.join(' | ')}`;
      reject(
        new AppError('SANDBOX_POSTGRES_FAILED', {
          message,
          fix: 'Read the reason in the message; a start with a fresh data folder helps.',
        }),
      );
    });
  });
  await accepted;
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.stdin?.end();
  const hurry = setTimeout(() => {
    // The negative id means the whole group: the shell, its watcher and the server.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, 8_000);
  await ended;
  clearTimeout(hurry);
}

/** Starts the server on a free port; a port lost to somebody else in between is replaced, three times at most. */
export async function startCluster(binaries: Binaries, dataDir: string, settings: Record<string, string> = {}): Promise<Cluster> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await launch(binaries, dataDir, settings);
    } catch (error) {
      const portTaken = error instanceof AppError && error.message.includes('could not bind');
      if (!portTaken || attempt === 3) throw error;
    }
  }
}
