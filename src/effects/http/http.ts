/**
 * The one HTTP client of the hands. Invariants:
 * 1. No retries (the engine retries) and no redirects; whoever wants one follows it and judges its address anew.
 * 2. One connection per request: a reused socket that dies gives doubt where there need be none.
 * 3. Every failure is an AppError (failure.ts), and a certificate that is not trusted is one.
 */
import type { Socket } from 'node:net';
import type { Reach } from '../handler.ts';
import { toHttpError } from './failure.ts';
import { type ConnectOptions, openSocket } from './reach.ts';

export type HttpRequest = {
  method: 'GET' | 'POST' | 'HEAD';
  url: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** A POST that changes nothing: failures then say `applied: no`. GET and HEAD never change anything. */
  readOnly?: boolean;
  /** The whole request, in ms. Default: the client's. */
  timeoutMs?: number;
  /** Default 10 MB. */
  maxBytes?: number;
};

export type HttpAnswer = { status: number; headers: Record<string, string>; text: string };

export type Http = {
  /** Resolves for every status; throws AppError when there is no whole answer. */
  request(request: HttpRequest): Promise<HttpAnswer>;
};

export type HttpOptions = ConnectOptions & {
  signal?: AbortSignal;
  /** One request, in ms. Default 30,000. */
  timeoutMs?: number;
};

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_BYTES = 10 * 1024 * 1024;

/** Makes an HTTP client that reaches hosts as the stored row says. Throws RESOLVE_INVALID on the first request with a bad entry. */
export function createHttp(reach: Reach, options: HttpOptions = {}): Http {
  return { request: (request) => send(reach, options, request) };
}

async function send(reach: Reach, options: HttpOptions, request: HttpRequest): Promise<HttpAnswer> {
  const { got } = await import('got');
  const url = new URL(request.url);
  const timeoutMs = request.timeoutMs ?? options.timeoutMs ?? 30_000;
  const maxBytes = request.maxBytes ?? MAX_BYTES;
  const tooLarge = new AbortController();
  let connected = false;
  const createConnection = (): Socket => {
    const secure = url.protocol === 'https:';
    const socket = openSocket(secure, { host: url.hostname, port: portOf(url) }, reach, options);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      connected = true;
    });
    return socket;
  };
  try {
    if (options.signal?.aborted) throw options.signal.reason;
    const pending = got(url, {
      method: request.method,
      // Without an agent Node would add port 80 to the name, also for https.
      headers: { ...reach.headers, ...request.headers, host: url.host },
      ...(request.json === undefined ? {} : { json: request.json }),
      createConnection,
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
      responseType: 'text',
      signal: options.signal ? AbortSignal.any([options.signal, tooLarge.signal]) : tooLarge.signal,
      timeout: { request: timeoutMs, connect: CONNECT_TIMEOUT_MS, secureConnect: CONNECT_TIMEOUT_MS, lookup: CONNECT_TIMEOUT_MS },
    });
    pending.on('downloadProgress', ({ transferred, total }) => {
      if (transferred > maxBytes || (total ?? 0) > maxBytes) tooLarge.abort();
    });
    const answer = await pending;
    return { status: answer.statusCode, headers: flatten(answer.headers), text: answer.body };
  } catch (error) {
    throw toHttpError(error, {
      origin: url.origin,
      host: url.hostname,
      readOnly: request.method !== 'POST' || request.readOnly === true,
      connected,
      timeoutMs,
      aborted: options.signal?.aborted === true,
      tooLarge: tooLarge.signal.aborted,
    });
  }
}

/** The port a URL means, also when it is left out. */
export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}
