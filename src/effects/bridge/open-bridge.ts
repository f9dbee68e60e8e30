/** A byte stream to a database through the relay: an HTTP upgrade over a TLS connection whose certificate is checked. */
import type { Socket } from 'node:net';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { toHttpError } from '../http/failure.ts';
import { portOf } from '../http/http.ts';
import { openSocket } from '../http/reach.ts';
import { relayProtocol } from './relay.ts';

export type BridgeWay = { /** Such as `https://bridge.example.com`. */ url: string; token: string };

const timeoutMs = 10_000;
const maxHead = 16 * 1024;

/** Resolves once the relay stands in connection with the database. Throws BRIDGE_*, and the codes of http/failure.ts. */
export function openBridge({ url, token }: BridgeWay, reach: Reach): Promise<Socket> {
  const to = new URL(url);
  if (to.protocol !== 'https:') throw insecure(to.origin);
  return new Promise((resolve, reject) => {
    const socket = openSocket(true, { host: to.hostname, port: portOf(to) }, reach);
    let connected = false;
    let head = Buffer.alloc(0);
    const fail = (error: unknown) => {
      socket.destroy();
      reject(
        error instanceof AppError
          ? error
          : toHttpError(error, {
              origin: to.origin,
              host: to.hostname,
              readOnly: true,
              connected,
              timeoutMs,
              aborted: false,
              tooLarge: false,
            }),
      );
    };
    const gone = () => fail(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
    const read = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 && head.length <= maxHead) return;
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head.toString('latin1', 0, 32))?.[1]);
      if (status !== 101) return fail(refusedBy(to.origin, status));
      socket.off('data', read);
      socket.off('error', fail);
      socket.off('close', gone);
      socket.setTimeout(0);
      socket.pause();
      const rest = head.subarray(end + 4);
      if (rest.length > 0) socket.unshift(rest);
      resolve(socket);
    };
    socket.setTimeout(timeoutMs, () => fail(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
    socket.on('error', fail);
    socket.on('close', gone);
    socket.on('data', read);
    socket.once('secureConnect', () => {
      connected = true;
      const own = Object.entries(reach.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
      const lines = [`host: ${to.host}`, 'connection: Upgrade', `upgrade: ${relayProtocol}`, `authorization: Bearer ${token}`, ...own];
      socket.write(`GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    });
  });
}

function insecure(origin: string): AppError {
  return new AppError('BRIDGE_NOT_SECURE', {
    message: `The bridge at ${origin} is not reached over https, so nothing is sent to it.`,
    fix: 'Remove it and install it again under a host with https.',
  });
}

function refusedBy(origin: string, status: number): AppError {
  if (status === 401)
    return new AppError('BRIDGE_TOKEN_REFUSED', {
      message: `The bridge at ${origin} does not know the token of this target.`,
      fix: 'It belongs to another installation: remove it (roll its run back, or delete the service in Dokploy), then install one again.',
    });
  if (status === 502)
    return new AppError('BRIDGE_WITHOUT_DATABASE', {
      message: `The bridge at ${origin} does not reach the database.`,
      fix: 'Check that the service db of the target runs, and that both are in one network; install-bridge reads which.',
      retry: 'later',
    });
  return new AppError('BRIDGE_GONE', {
    message: `No bridge answers at ${origin} (status ${Number.isNaN(status) ? 'none' : status}).`,
    fix: 'Its hour has passed, or its route is not there yet: install-bridge deploys one.',
    retry: 'later',
  });
}
