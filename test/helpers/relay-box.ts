/** The relay's own text as a process of its own, as the stock node image runs it, before any database, and optionally behind TLS as a proxy would put it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { createServer as createTlsServer } from 'node:tls';
import { parse } from 'yaml';
import { relayCompose } from '../../src/effects/bridge/relay.ts';
import { makeBridgeKeys } from '../../src/effects/bridge/token.ts';
import type { Reach } from '../../src/effects/handler.ts';
import { createAuthority } from './certificates.ts';

export const relayHost = 'bridge.relay.test';

export type Relay = { port: number; host: string; privateKey: string; child: ChildProcess };
export type RelayOptions = { until?: number; keys?: { privateKey: string; publicKey: string } };

export function createRelayBox() {
  const ends: (() => Promise<void> | void)[] = [];
  const listen = async (server: Server) => {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  };
  return {
    async startRelay(to: string, { until = Date.now() + 60_000, keys = makeBridgeKeys() }: RelayOptions = {}): Promise<Relay> {
      const plan = { network: 'n', host: relayHost, publicKey: keys.publicKey, until, databasePort: 5432 };
      const { command, environment } = parse(relayCompose(plan)).services.bridge;
      const child = spawn(process.execPath, command.slice(1), {
        env: { ...environment, TO: to, PORT: '0' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      ends.push(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      });
      const [line] = await once(createInterface({ input: child.stdout }), 'line');
      return { port: Number(String(line).split(' ')[1]), host: relayHost, privateKey: keys.privateKey, child };
    },
    /** A server that says back what it hears. */
    async echo(): Promise<{ to: string; sockets: Socket[] }> {
      const sockets: Socket[] = [];
      const server = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => undefined);
        socket.pipe(socket);
      });
      return { to: `127.0.0.1:${await listen(server)}`, sockets };
    },
    /** TLS before a port, under the relay's name, with what was sent through it: `record` holds the bytes of each connection. */
    async behindTls(port: number): Promise<{ url: string; reach: Reach; record: Buffer[] }> {
      const authority = createAuthority('Relay');
      const record: Buffer[] = [];
      const server = createTlsServer(authority.issue({ names: [relayHost] }), (socket) => {
        const index = record.push(Buffer.alloc(0)) - 1;
        const up = connect(port, '127.0.0.1');
        socket.on('data', (chunk: Buffer) => {
          record[index] = Buffer.concat([record[index] ?? Buffer.alloc(0), chunk]);
        });
        for (const one of [socket, up]) one.on('error', () => undefined);
        socket.pipe(up).pipe(socket);
        socket.once('close', () => up.destroy());
        up.once('close', () => socket.destroySoon());
      });
      const tlsPort = await listen(server);
      return { url: `https://${relayHost}`, reach: { ca: authority.ca, resolve: [`${relayHost}:443:127.0.0.1:${tlsPort}`] }, record };
    },
    async endAll(): Promise<void> {
      for (const end of ends.splice(0).reverse()) await end();
    },
  };
}
