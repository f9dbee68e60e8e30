/**
 * The pooler's door in session mode, one for all stacks: `role.tenant` tells which. As Supavisor it
 * 1. knows a tenant as it was when the container started (tenant.ts),
 * 2. asks the database by the tenant's own user for the verifier of whoever comes, so that nobody passes once that user is locked out,
 * 3. keeps to the sizes of the tenant.
 * It asks for the password in clear, which it never stores; the loopback address is all it listens on.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type pg from 'pg';
import { type Database, withClient } from '../postgres/database.ts';
import type { Stacks } from '../stack/stacks.ts';
import type { Tenant } from './tenant.ts';
import { isPasswordOf } from './verifier.ts';
import { authenticationOk, cleartextPassword, createReader, fatal, parameterStatus, readyForQuery, startupOf } from './wire.ts';

export type PoolerListener = { port: number; close(): Promise<void> };

class Refused extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const noTenant = new Refused('XX000', 'Tenant or user not found');

export async function openPooler(stacks: Stacks, port = 0): Promise<PoolerListener> {
  const sockets = new Set<Socket>();
  const sessions = new Map<Tenant, number>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    serve(stacks, sessions, socket).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'XX000';
      socket.end(fatal(code, error instanceof Error ? error.message : String(error)));
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : port,
    async close() {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

async function serve(stacks: Stacks, sessions: Map<Tenant, number>, socket: Socket): Promise<void> {
  const reader = createReader(socket);
  const { user, database } = startupOf(await reader.startup());
  const dot = user.lastIndexOf('.');
  const [role, id] = [user.slice(0, Math.max(dot, 0)), user.slice(dot + 1)];
  const found = dot < 0 ? undefined : stacks.byTenant(id);
  if (found === undefined) throw noTenant;
  socket.write(cleartextPassword());
  const password = await reader.password();
  await assertPassword(found.database, found.tenant, role, password);
  const open = sessions.get(found.tenant) ?? 0;
  if (open >= found.tenant.maxClients) throw new Refused('53300', 'Max client connections reached');
  if (open >= found.tenant.poolSize)
    throw new Refused('XX000', 'MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size');
  sessions.set(found.tenant, open + 1);
  const leave = () => sessions.set(found.tenant, (sessions.get(found.tenant) ?? 1) - 1);
  try {
    const client = await found.database.connect({ user: role, password, database });
    joinSockets(socket, client, reader.rest(), leave);
  } catch (error) {
    leave();
    throw error;
  }
}

/** Invariant 2. */
async function assertPassword(database: Database, { manager }: Tenant, role: string, password: string): Promise<void> {
  if (manager === undefined) throw noTenant;
  const verifier = await withClient(database.connect(manager), async (client) => {
    const { rows } = await client.query<{ password: string | null }>('select * from pgbouncer.get_auth($1)', [role]);
    return rows[0]?.password ?? undefined;
  }).catch(() => {
    throw new Refused('XX000', 'Authentication query failed: Connection to database not available');
  });
  if (verifier === undefined) throw noTenant;
  if (!isPasswordOf(verifier, password)) throw new Refused('28P01', `password authentication failed for user "${role}"`);
}

/** From here on bytes go through unread; the session ends with either side. */
function joinSockets(socket: Socket, client: pg.Client, rest: Buffer, leave: () => void): void {
  // The driver has logged in; its socket is all that is needed of it.
  const stream: unknown = Reflect.get(Object(Reflect.get(client, 'connection')), 'stream');
  if (!isSocket(stream)) throw new TypeError('the driver keeps its socket elsewhere');
  stream.removeAllListeners();
  stream.on('error', () => socket.destroy());
  socket.on('error', () => stream.destroy());
  stream.on('close', () => socket.destroy());
  socket.on('close', () => {
    stream.destroy();
    leave();
  });
  socket.write(
    Buffer.concat([
      authenticationOk(),
      parameterStatus('server_version', '17.6'),
      parameterStatus('client_encoding', 'UTF8'),
      readyForQuery(),
    ]),
  );
  stream.write(rest);
  socket.pipe(stream);
  stream.pipe(socket);
  stream.resume();
}

function isSocket(value: unknown): value is Socket {
  return typeof value === 'object' && value !== null && 'pipe' in value && 'removeAllListeners' in value;
}
