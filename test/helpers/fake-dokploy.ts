/** A Dokploy that says what a test tells it to, over a real socket. It keeps what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { DokployConnection, Reach } from '../../src/effects/handler.ts';

export type Asked = {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  text: string;
  json: unknown;
};

export type Scripted = {
  status?: number;
  json?: unknown;
  text?: string;
  headers?: Record<string, string>;
  /** Takes the request and never answers. */
  hang?: true;
  /** Takes the request and breaks the connection. */
  reset?: true;
};

export type Script = Scripted | ((asked: Asked) => Scripted);

export type FakeServer = {
  port: number;
  url: string;
  asked: Asked[];
  /** Script for a path; a list is answered in turn, its last entry stays. */
  on(path: string, ...scripts: Script[]): void;
  close(): Promise<void>;
};

/** Starts a scripted server on loopback; with `tls` it speaks https. Paths are matched without query. */
export async function startFakeServer(tls?: { key: string; cert: string }): Promise<FakeServer> {
  const scripts = new Map<string, Script[]>();
  const asked: Asked[] = [];
  const listen = async (request: IncomingMessage, response: ServerResponse) => {
    const one = await readRequest(request);
    asked.push(one);
    const list = scripts.get(one.path) ?? [];
    const script = (list.length > 1 ? list.shift() : list[0]) ?? {
      status: 404,
      json: { message: 'Not found', code: 'NOT_FOUND', data: { code: 'NOT_FOUND' } },
    };
    play(typeof script === 'function' ? script(one) : script, request, response);
  };
  const server = tls ? createSecureServer(tls, listen) : createServer(listen);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A listening TCP server always has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    asked,
    on: (path, ...list) => scripts.set(path, list),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function play({ status = 200, json, text, headers = {}, hang, reset }: Scripted, request: IncomingMessage, response: ServerResponse): void {
  if (hang) return;
  if (reset) {
    request.socket.resetAndDestroy();
    return;
  }
  const body = text ?? (json === undefined ? '' : JSON.stringify(json));
  response.writeHead(status, { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers });
  response.end(body);
}

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const text = Buffer.concat(chunks).toString();
  const url = new URL(request.url ?? '/', 'http://fake');
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers,
    text,
    json: text === '' ? undefined : JSON.parse(text),
  };
}

/** A key that no test may ever see again in an error. */
export const CANARY_KEY = 'dokployCanaryKey0123456789';

export function connectionTo(server: FakeServer, reach: Reach = {}): DokployConnection {
  return { name: 'lab', url: server.url, apiKey: CANARY_KEY, reach };
}
