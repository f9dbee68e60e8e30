/**
 * One https and one http listener for all stacks, as Traefik stands before them.
 * 1. A host is known from the moment its containers are healthy, by the domain rows of the last deployment.
 * 2. A host has its own certificate only if its row asked Let's Encrypt for one and the time for it has come.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import type { Stacks } from '../stack/stacks.ts';
import type { Authority } from '../tls/authority.ts';
import { kong, refuseKey } from './kong.ts';
import { websocketsWork } from './realtime.ts';

export type Gateway = { address: string; httpsPort: number; httpPort: number };

const notFound = (): Response =>
  new Response('404 page not found\n', { status: 404, headers: { 'content-type': 'text/plain; charset=utf-8' } });
const hostOf = (value: string | undefined): string => (value ?? '').replace(/:\d+$/, '').toLowerCase();

async function route(stacks: Stacks, request: Request, secure: boolean): Promise<Response> {
  const url = new URL(request.url);
  const found = stacks.byHost(hostOf(request.headers.get('host') ?? url.host));
  // Without https in its row a host has no router on the https side.
  if (found === undefined || (secure && !found.domain.https)) return notFound();
  const { stack, domain } = found;
  if (!secure && domain.https) {
    const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308;
    return new Response(null, { status, headers: { location: `https://${domain.host}${url.pathname}${url.search}` } });
  }
  const database = stacks.database(stack.composeId);
  if (database === undefined || domain.serviceName !== 'kong' || domain.port !== 8000) return new Response('Bad Gateway', { status: 502 });
  return kong(stack, database, request);
}

type Upgrade = { message: IncomingMessage; socket: Duplex; head: Buffer; secure: boolean };

const websocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** As Traefik does: the request goes on as it came, and from the answer on bytes go both ways. */
function passOn(port: number, message: IncomingMessage, socket: Duplex, head: Buffer): void {
  const up = connect(port, '127.0.0.1', () => {
    const headers = Object.entries(message.headers).map(([name, value]) => `${name}: ${String(value)}`);
    up.write(`${message.method} ${message.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    up.write(head);
    up.pipe(socket).pipe(up);
  });
  up.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
  up.on('close', () => socket.destroy());
  socket.on('close', () => up.destroy());
}

/** Realtime's websocket: the handshake succeeds if the tenant is found; then it is closed, since nothing is broadcast here. */
function upgrade(stacks: Stacks, { message, socket, head, secure }: Upgrade): void {
  const finish = (status: string, headers = '', tail = Buffer.alloc(0)) =>
    socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${headers}\r\n`), tail]));
  socket.on('error', () => socket.destroy());
  const url = new URL(message.url ?? '/', 'http://sandbox');
  const found = stacks.byHost(hostOf(message.headers.host));
  const relay = found?.domain.https === secure ? stacks.relayPort(found.stack.composeId) : undefined;
  if (relay !== undefined) {
    passOn(relay, message, socket, head);
    return;
  }
  if (found === undefined || found.domain.https !== secure || !url.pathname.startsWith('/realtime/v1/websocket')) {
    finish('404 Not Found', 'Content-Length: 0\r\n');
    return;
  }
  const apikey = message.headers.apikey;
  const refused = refuseKey(found.stack, 'key', (typeof apikey === 'string' ? apikey : null) ?? url.searchParams.get('apikey'));
  if (refused !== undefined) finish('401 Unauthorized', 'Content-Length: 0\r\n');
  else if (!websocketsWork(found.stack)) finish('403 Forbidden', 'Content-Length: 0\r\n');
  else {
    const key = `${message.headers['sec-websocket-key'] ?? ''}${websocketGuid}`;
    const accept = createHash('sha1').update(key).digest('base64');
    // A close frame with code 1000.
    finish(
      '101 Switching Protocols',
      `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`,
      Buffer.from([0x88, 2, 3, 0xe8]),
    );
  }
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server's address is never a text.
  return (server.address() as AddressInfo).port;
}

export type Listeners = { gateway: Gateway; close(): Promise<void> };

/** Closes a server and every connection it still has. */
export async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Opens both listeners on 127.0.0.1. */
export async function openGateway(stacks: Stacks, authority: Authority, ports: { https: number; http: number }): Promise<Listeners> {
  const certificateFor = (name: string) => (stacks.hasCertificate(name) ? authority.contextFor(name) : undefined);
  const https = createHttpsServer(
    // Without a context of its own a name gets the default certificate.
    { ...authority.fallback, SNICallback: (name, done) => done(null, certificateFor(name)) },
    getRequestListener((request) => route(stacks, request, true)),
  );
  const http = createHttpServer(getRequestListener((request) => route(stacks, request, false)));
  const websockets = new Set<Duplex>();
  for (const [server, secure] of [
    [https, true],
    [http, false],
  ] as const) {
    server.on('upgrade', (message, socket, head) => {
      websockets.add(socket);
      socket.on('close', () => websockets.delete(socket));
      upgrade(stacks, { message, socket, head, secure });
    });
  }
  const httpsPort = await listen(https, ports.https);
  const httpPort = await listen(http, ports.http).catch(async (error: unknown) => {
    await closeServer(https);
    throw error;
  });
  const gateway = { address: '127.0.0.1', httpsPort, httpPort };
  return {
    gateway,
    async close() {
      for (const socket of websockets) socket.destroy();
      await Promise.all([closeServer(https), closeServer(http)]);
    },
  };
}
