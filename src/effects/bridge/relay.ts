/**
 * The relay that runs beside a target: TCP to its database for whoever knows the token, inside an HTTP upgrade behind https. Invariants:
 * 1. It needs nothing but the stock node image: no dependency, no file, no published port, no root.
 * 2. The compose text holds the token's hash only. The relay ends by itself at its hour, and takes eight sessions at most.
 * 3. Its text holds neither `$` nor a backtick: Compose would fill in the one, and this file would end at the other.
 */
import { stringify } from 'yaml';

export const relayImage = 'node:22-alpine';
export const relayPort = 8080;
export const relayService = 'bridge';
export const relayProtocol = 'capstan-bridge';

export const relaySource = String.raw`
'use strict';
const http = require('node:http'), net = require('node:net'), crypto = require('node:crypto');
const { TOKEN_SHA256, TO, UNTIL, PORT } = process.env;
const [host, to] = TO.split(':');
const right = Buffer.from(TOKEN_SHA256, 'hex');
let open = 0;
const refuse = (socket, status) => socket.end('HTTP/1.1 ' + status + '\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
const server = http.createServer((request, response) => response.writeHead(request.url === '/health' ? 200 : 404).end());
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => socket.destroy());
  const given = crypto.createHash('sha256').update((request.headers.authorization || '').replace(/^Bearer /, '')).digest();
  if (given.length !== right.length || !crypto.timingSafeEqual(given, right)) return refuse(socket, '401 Unauthorized');
  if (request.headers.upgrade !== 'capstan-bridge') return refuse(socket, '400 Bad Request');
  if (open >= 8) return refuse(socket, '503 Service Unavailable');
  const up = net.connect(Number(to), host);
  let joined = false;
  open += 1;
  socket.once('close', () => { open -= 1; up.destroy(); });
  up.once('connect', () => {
    joined = true;
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: capstan-bridge\r\n\r\n');
    up.write(head);
    socket.pipe(up).pipe(socket);
  });
  up.on('error', () => (joined ? socket.destroy() : refuse(socket, '502 Bad Gateway')));
  up.once('close', () => socket.destroySoon());
});
server.listen(Number(PORT), () => console.log('bridge ' + server.address().port));
setTimeout(() => process.exit(0), Math.max(0, Number(UNTIL) - Date.now()));
`;

export type RelayPlan = { network: string; tokenSha256: string; until: number; databasePort: number };

/** The compose text of the relay, joined to the network in which the target's containers really are. */
export function relayCompose({ network, tokenSha256, until, databasePort }: RelayPlan): string {
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
        environment: { TOKEN_SHA256: tokenSha256, TO: `db:${databasePort}`, UNTIL: String(until), PORT: String(relayPort) },
        expose: [String(relayPort)],
        networks: ['target'],
      },
    },
    networks: { target: { external: true, name: network } },
  });
}
