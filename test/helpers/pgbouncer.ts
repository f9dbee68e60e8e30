/** A real PgBouncer before a test server: it knows `role.tenant`, as Supavisor does, and logs in behind itself as the role. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SqlAddress } from '../../src/effects/postgres/address.ts';
import { freePort } from '../../src/sandbox/postgres/cluster.ts';
import type { TestServer } from './databases.ts';

// Debian keeps it where a person who is not root does not look.
const path = `${process.env['PATH']}:/usr/sbin`;

/** Why tests with it cannot run here; in CI too, where it could not be installed. */
export function whyWithoutPgbouncer(): string | undefined {
  try {
    execFileSync('pgbouncer', ['--version'], { env: { ...process.env, PATH: path }, stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs pgbouncer: apt-get install -y pgbouncer';
  }
}

export type Pgbouncer = {
  /** As a person would hand it over. */
  address: SqlAddress;
  stop(): Promise<void>;
};

export async function startPgbouncer(
  { port: behind, password }: Pick<TestServer, 'port' | 'password'>,
  mode: 'session' | 'transaction',
): Promise<Pgbouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-pgbouncer-'));
  const port = await freePort();
  const user = 'postgres.shop-tenant';
  writeFileSync(join(folder, 'users.txt'), `"${user}" "${password}"\n`);
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    [
      '[databases]',
      `postgres = host=127.0.0.1 port=${behind} dbname=postgres user=postgres password=${password}`,
      '[pgbouncer]',
      `listen_addr = 127.0.0.1`,
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${join(folder, 'users.txt')}`,
      `pool_mode = ${mode}`,
      'default_pool_size = 3',
    ].join('\n'),
  );
  const root = process.getuid?.() === 0;
  if (root)
    for (const [name, bits] of [
      ['', 0o755],
      ['users.txt', 0o644],
      ['pgbouncer.ini', 0o644],
    ] as const)
      chmodSync(join(folder, name), bits);
  // It refuses root, as Postgres does.
  const child = spawn('pgbouncer', [join(folder, 'pgbouncer.ini')], {
    ...(root ? { uid: 65_534, gid: 65_534 } : {}),
    env: { PATH: path, ...(process.env['LD_LIBRARY_PATH'] ? { LD_LIBRARY_PATH: process.env['LD_LIBRARY_PATH'] } : {}) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await up(child);
  return {
    address: { host: '127.0.0.1', port, database: 'postgres', user, role: 'postgres', password, ssl: 'disable', mode },
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** By its own word. */
async function up(child: ChildProcess): Promise<void> {
  if (child.stderr === null) throw new TypeError('stderr is piped');
  const said: string[] = [];
  const lines = createInterface({ input: child.stderr });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      said.push(line);
      if (line.includes('process up')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`pgbouncer ended with ${code}: ${said.join(' | ')}`)));
    child.once('error', reject);
  });
}
