/**
 * The relay that runs beside a target: TCP to its database for whoever holds its key, inside an HTTP upgrade behind https. Invariants:
 * 1. It needs nothing but the stock node image: no dependency, no file, no published port, no root.
 * 2. The compose text holds the public key only. The relay ends by itself at its hour, and takes eight sessions at most.
 * 3. A token (token.ts) opens one stream: it is for this bridge, two minutes old at most, younger than this process, and not seen before. What
 *    was seen is remembered until it has expired; when too much is to be remembered, nothing is let in.
 * 4. Who is refused for the time alone is told the time here; a database that does not answer is no 502, which is what a proxy says of a dead relay.
 * 5. Its text holds neither `$` nor a backtick: Compose would fill in the one, and this file would end at the other.
 */
import { stringify } from 'yaml';

export const relayImage = 'node:22-alpine';
export const relayPort = 8080;
export const relayService = 'bridge';
export const relayProtocol = 'capstan-bridge';

/** Of the answer to a token that is refused for the time alone: ms since the epoch by the relay's clock. */
export const relayTimeHeader = 'capstan-bridge-time';

export const relaySource = String.raw`
'use strict';
const http = require('node:http'), net = require('node:net'), crypto = require('node:crypto');
const { PUBLIC_KEY, HOST, TO, UNTIL, PORT } = process.env;
const [host, to] = TO.split(':');
const key = crypto.createPublicKey({ key: Buffer.from(PUBLIC_KEY, 'base64url'), format: 'der', type: 'spki' });
// This clock never goes back: a token that was forgotten has expired.
const now = () => performance.timeOrigin + performance.now();
const began = now();
const seen = new Map();
let open = 0;
const refuse = (socket, status, header) =>
  socket.end('HTTP/1.1 ' + status + '\r\n' + (header || '') + 'Content-Length: 0\r\nConnection: close\r\n\r\n');
const judge = (header) => {
  const [scheme, body, signature, more] = (header || '').split(/[ .]/);
  if (scheme !== 'Bearer' || !body || !signature || more !== undefined) return '401 Unauthorized';
  if (!crypto.verify(null, Buffer.from(body), key, Buffer.from(signature, 'base64url'))) return '401 Unauthorized';
  const { v, host, at, until, nonce } = JSON.parse(Buffer.from(body, 'base64url').toString());
  if (v !== 1 || host !== HOST || until - at > 120000 || typeof nonce !== 'string') return '401 Unauthorized';
  if (!(at >= began && at <= now() + 60000 && until > now())) return 'time';
  for (const [each, end] of seen) if (end <= now()) seen.delete(each);
  if (seen.has(nonce)) return '409 Conflict';
  if (seen.size >= 4096) return '429 Too Many Requests';
  seen.set(nonce, until);
};
const server = http.createServer((request, response) => response.writeHead(request.url === '/health' ? 200 : 404).end());
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => socket.destroy());
  const refused = judge(request.headers.authorization);
  if (refused === 'time') return refuse(socket, '401 Unauthorized', 'capstan-bridge-time: ' + Math.ceil(now()) + '\r\n');
  if (refused) return refuse(socket, refused);
  if (request.headers.upgrade !== 'capstan-bridge') return refuse(socket, '400 Bad Request');
  if (open >= 8) return refuse(socket, '429 Too Many Requests');
  const up = net.connect(Number(to), host);
  let joined = false;
  open += 1;
  socket.once('close', () => { open -= 1; up.destroy(); });
  up.once('connect', () => {
    joined = true;
    socket.setKeepAlive(true, 30000);
    up.setKeepAlive(true, 30000);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: capstan-bridge\r\n\r\n');
    up.write(head);
    socket.pipe(up).pipe(socket);
  });
  up.on('error', () => (joined ? socket.destroy() : refuse(socket, '424 Failed Dependency')));
  up.once('close', () => socket.destroySoon());
});
server.listen(Number(PORT), () => console.log('bridge ' + server.address().port));
setTimeout(() => process.exit(0), Math.max(0, Number(UNTIL) - Date.now()));
`;

export type RelayPlan = { network: string; host: string; publicKey: string; until: number; databasePort: number };

/** The compose text of the relay, joined to the network in which the target's containers really are. */
export function relayCompose({ network, host, publicKey, until, databasePort }: RelayPlan): string {
  return stringify({
    services: {
      [relayService]: {
        image: relayImage,
        user: '65534:65534',
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        mem_limit: '64m',
        pids_limit: 64,
        // Once its hour has come it stays away.
        restart: 'on-failure:3',
        command: ['node', '-e', relaySource],
        environment: { PUBLIC_KEY: publicKey, HOST: host, TO: `db:${databasePort}`, UNTIL: String(until), PORT: String(relayPort) },
        expose: [String(relayPort)],
        networks: ['target'],
      },
    },
    networks: { target: { external: true, name: network } },
  });
}
