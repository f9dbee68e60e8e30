/** Bodies that are too large to hold: streamed from and to one server, over connections that are kept. No retries, no redirects. */
import { Agent, type ClientRequest, type IncomingMessage, request as startRequest } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Reach } from '../handler.ts';
import { toHttpError } from './failure.ts';
import { portOf } from './http.ts';
import { openSocket } from './reach.ts';

export type TransferAnswer = { status: number; headers: Record<string, string>; body: Readable };
export type Transfer = {
  /** Resolves with the head; the body comes as it is read. Throws AppError when there is no answer. */
  get(path: string, headers: Record<string, string>): Promise<TransferAnswer>;
  /** Sends `body`, whose length the headers tell, and resolves with the head of the answer. */
  send(method: 'POST' | 'PUT', path: string, headers: Record<string, string>, body: Readable): Promise<TransferAnswer>;
  close(): void;
};

/** `idleMs`: how long a connection may be silent, default 60 s. */
export function createTransfer(base: string, reach: Reach, options: { signal?: AbortSignal; idleMs?: number } = {}): Transfer {
  const { origin, hostname, protocol, host } = new URL(base);
  const prefix = new URL(base).pathname.replace(/\/$/, '');
  const secure = protocol === 'https:';
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  // An agent takes any socket; ours goes where the stored row says.
  const connect = () => openSocket(secure, { host: hostname, port: portOf(new URL(base)) }, reach);
  Object.assign(agent, { createConnection: connect });
  const idleMs = options.idleMs ?? 60_000;
  const begin = (method: string, path: string, headers: Record<string, string>): ClientRequest =>
    startRequest({
      agent,
      method,
      path: `${prefix}${path}`,
      headers: { ...reach.headers, ...headers, host },
      timeout: idleMs,
      ...(options.signal ? { signal: options.signal } : {}),
    });
  const answered = (request: ClientRequest, readOnly: boolean): Promise<TransferAnswer> =>
    new Promise((resolve, reject) => {
      let connected = false;
      const failed = (error: unknown) =>
        reject(
          options.signal?.aborted
            ? options.signal.reason
            : toHttpError(error, { origin, host: hostname, readOnly, connected, timeoutMs: idleMs, aborted: false, tooLarge: false }),
        );
      request.once('socket', (socket) => {
        const up = () => {
          connected = true;
        };
        if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', up);
        else up();
      });
      request.on('timeout', () => request.destroy(Object.assign(new Error('silent'), { code: 'ETIMEDOUT' })));
      request.on('error', failed);
      request.once('response', (response) => resolve({ status: response.statusCode ?? 0, headers: flat(response), body: response }));
    });
  return {
    get(path, headers) {
      const request = begin('GET', path, headers);
      const answer = answered(request, true);
      request.end();
      return answer;
    },
    async send(method, path, headers, body) {
      const request = begin(method, path, headers);
      const answer = answered(request, false);
      // A server may answer and close before it has read all: then its answer counts.
      const sent = pipeline(body, request);
      sent.catch(() => undefined);
      return answer;
    },
    close: () => agent.destroy(),
  };
}

function flat(response: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(response.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}
