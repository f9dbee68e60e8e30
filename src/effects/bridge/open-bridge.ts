/**
 * A byte stream to a database through the relay: an HTTP upgrade over a TLS connection whose certificate is checked. Invariants:
 * 1. Each stream has a token of its own, signed when it is opened (token.ts).
 * 2. Where the relay's clock differs, the token is signed once more by that clock; further apart than ten minutes it is an error.
 */
import type { Socket } from 'node:net';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { toHttpError } from '../http/failure.ts';
import { portOf } from '../http/http.ts';
import { openSocket } from '../http/reach.ts';
import { relayProtocol, relayTimeHeader } from './relay.ts';
import { signToken } from './token.ts';

export type BridgeWay = { /** Such as `https://bridge.example.com`. */ url: string /** Signs its tokens. */; privateKey: string };

const timeoutMs = 10_000;
const maxHead = 16 * 1024;
const mostApartMs = 10 * 60_000;

/** Resolves once the relay stands in connection with the database. Throws BRIDGE_*, and the codes of http/failure.ts. */
export async function openBridge(way: BridgeWay, reach: Reach, now: () => number = Date.now): Promise<Socket> {
  const to = new URL(way.url);
  if (to.protocol !== 'https:') throw insecure(to.origin);
  const tokenAt = (at: number) => signToken(way.privateKey, to.hostname, at);
  const first = await ask(to, tokenAt(now()), reach);
  if (first.socket) return first.socket;
  const apartMs = first.relayTime - now();
  if (Math.abs(apartMs) > mostApartMs) throw clocksApart(to.origin, apartMs);
  const second = await ask(to, tokenAt(first.relayTime), reach);
  if (second.socket) return second.socket;
  throw clocksApart(to.origin, apartMs);
}

type Answer =
  | { socket: Socket }
  | { socket?: undefined /** The token was refused for the time alone; it is this there. */; relayTime: number };

function ask(to: URL, token: string, reach: Reach): Promise<Answer> {
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
      const { status, relayTime } = readHead(head.toString('latin1', 0, end < 0 ? 0 : end));
      socket.off('close', gone);
      if (status === 401 && relayTime !== undefined) {
        socket.destroy();
        return resolve({ relayTime });
      }
      if (status !== 101) return fail(refusedBy(to.origin, status));
      socket.off('data', read);
      socket.off('error', fail);
      socket.setTimeout(0);
      socket.setKeepAlive(true, 30_000);
      socket.pause();
      const rest = head.subarray(end + 4);
      if (rest.length > 0) socket.unshift(rest);
      resolve({ socket });
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

/** Status NaN where it is no answer of HTTP. */
function readHead(head: string): { status: number; relayTime: number | undefined } {
  const time = Number(new RegExp(`^${relayTimeHeader}: *(\\d{1,15}) *$`, 'im').exec(head)?.[1]);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), relayTime: Number.isNaN(time) ? undefined : time };
}

function insecure(origin: string): AppError {
  return new AppError('BRIDGE_NOT_SECURE', {
    message: `The bridge at ${origin} is not reached over https, so nothing is sent to it.`,
    fix: 'Remove it and install it again under a host with https.',
  });
}

function clocksApart(origin: string, apartMs: number): AppError {
  const seconds = Math.round(Math.abs(apartMs) / 1_000);
  return new AppError('BRIDGE_CLOCKS_APART', {
    message: `The clock of the bridge at ${origin} is ${seconds} seconds ${apartMs < 0 ? 'behind' : 'ahead of'} the one here, so it accepts no token that is signed here.`,
    fix: 'Set the clock of the machine that is wrong (timedatectl set-ntp true), then try again.',
    details: { apartMs },
  });
}

function refusedBy(origin: string, status: number): AppError {
  if (status === 401)
    return new AppError('BRIDGE_TOKEN_REFUSED', {
      message: `The bridge at ${origin} does not know the key of this target.`,
      fix: 'It belongs to another installation: remove it (roll its run back, or delete the service in Dokploy), then install one again.',
    });
  if (status === 409)
    return new AppError('BRIDGE_TOKEN_USED', {
      message: `The bridge at ${origin} has seen the token of this stream before, although each is sent once.`,
      fix: 'Something between here and there sends requests twice, or a stranger repeated one: look at proxies on the way, then try again.',
      retry: 'later',
    });
  if (status === 429)
    return new AppError('BRIDGE_BUSY', {
      message: `The bridge at ${origin} carries eight sessions already, which is all that it takes.`,
      fix: 'Wait until one of them has ended, then try again.',
      retry: 'later',
    });
  if (status === 424)
    return new AppError('BRIDGE_WITHOUT_DATABASE', {
      message: `The bridge at ${origin} does not reach the database.`,
      fix: 'Check that the service db of the target runs, and that both are in one network; install-bridge reads which.',
      retry: 'later',
    });
  return new AppError('BRIDGE_GONE', {
    message: `No bridge answers at ${origin} (status ${Number.isNaN(status) ? 'none' : status}).`,
    fix: 'Its hour has passed, its container has ended, or its route is not there yet: deploy the service capstan-bridge again in Dokploy, or install a bridge anew.',
    retry: 'later',
  });
}
