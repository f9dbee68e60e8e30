/**
 * MCP over HTTP (design §5). Invariants:
 * 1. Host and Origin are judged before anything else, the token before the body, the size of the body before it is parsed.
 * 2. One factory serves both eras: 2026-07-28 by the request, older revisions by sessions.
 * 3. Nothing but /mcp knows of runs; /healthz and /readyz say nothing else, and /metrics asks for a token where /mcp does.
 */
import {
  type AuthInfo,
  createMcpHandler,
  hostHeaderValidationResponse,
  isJsonContentType,
  isLegacyRequest,
  originValidationResponse,
  readRequestBody,
} from '@modelcontextprotocol/server';
import { Hono } from 'hono';
import type { Connection } from '../connection.ts';
import { newsBus, onlyVisible } from '../run-news.ts';
import { scoped } from '../scoped.ts';
import { createServer, type ServerDeps } from '../server.ts';
import type { Authentication } from './authentication.ts';
import { createCallCount } from './call-count.ts';
import { metadataUrl, type ResourceServer, resourceMetadata } from './oauth.ts';
import { refusal } from './refusal.ts';
import { createSessions } from './sessions.ts';

/** More than any event's payload (64 KB, engine.md P5) with its envelope. */
export const maxBodyBytes = 1_048_576;
/** Calls of one principal at a time; each may hold a waiting run. */
export const maxInFlight = 256;

export type RouteDeps = ServerDeps & {
  authentication: Authentication;
  /** Names under which we may be spoken to, without a port. */
  hosts: readonly string[];
  oauth?: ResourceServer;
  /** Throws while the house cannot be opened. */
  ready: () => Promise<void>;
  metrics: () => Promise<string>;
};

export type Routes = {
  fetch: (request: Request) => Promise<Response> /** Resolves when no call is being answered. */;
  idle: () => Promise<void>;
  close: () => Promise<void>;
};

export function createRoutes(deps: RouteDeps): Routes {
  const { authentication, guard, oauth } = deps;
  const onerror = (error: Error) => guard.logError('http', error);
  const hosts = [...deps.hosts];
  const modern = createMcpHandler(({ authInfo }) => createServer(deps, connectionIn(authInfo)), {
    legacy: 'reject',
    maxRequestBodySize: maxBodyBytes,
    bus: newsBus(deps.app),
    onerror,
  });
  const legacy = createSessions((connection) => createServer(deps, connection));
  const calls = createCallCount(maxInFlight);
  let stopping = false;

  const app = new Hono();
  app.use(async ({ req }, next) => {
    const refused = hostHeaderValidationResponse(req.raw, hosts) ?? originValidationResponse(req.raw, hosts);
    if (refused) return refused;
    return next();
  });
  app.get('/healthz', (c) => c.text('ok\n'));
  app.get('/readyz', async (c) => {
    if (stopping) return c.text('stopping\n', 503);
    try {
      await deps.ready();
      return c.text('ready\n');
    } catch (error) {
      guard.logError('readyz', error);
      return c.text('not ready\n', 503);
    }
  });
  app.get('/metrics', async (c) => {
    const connection = await authentication.connect(c.req.header('authorization'));
    if (!connection) return challenge(oauth);
    return c.text(await deps.metrics(), 200, { 'content-type': 'text/plain; version=0.0.4' });
  });
  if (oauth) {
    const path = new URL(metadataUrl(oauth.resource)).pathname;
    const show = () => Response.json(resourceMetadata(oauth), { headers: { 'access-control-allow-origin': '*' } });
    app.get(path, show).get('/.well-known/oauth-protected-resource', show);
  }
  app.all('/mcp', async ({ req }) => {
    const connection = await authentication.connect(req.header('authorization'));
    if (!connection) return challenge(oauth);
    // What only listens is bounded by the sessions.
    if (req.method !== 'POST') return serve(req.raw, connection);
    const release = calls.enter(connection.caller.principal);
    if (!release) return refusal(429, -32_000, `More than ${maxInFlight} calls at a time.`, { 'Retry-After': '1' });
    try {
      return whenEnded(await serve(req.raw, connection), release);
    } catch (error) {
      release();
      throw error;
    }
  });
  app.notFound(() => refusal(404, -32_601, 'There is nothing here: MCP is at /mcp.'));
  app.onError((error) => {
    guard.logError('http', error);
    return refusal(500, -32_603, 'Internal error');
  });

  const serve = async (request: Request, connection: Connection): Promise<Response> => {
    const read = await readBody(request);
    if (read instanceof Response) return read;
    const { body } = read;
    const bare = new Request(request.url, { method: request.method, headers: request.headers, signal: request.signal });
    if (await isLegacyRequest(bare, body)) return legacy.handle(bare, body, connection);
    const heard = await onlyVisible(body, async () => scoped(await deps.app(), connection));
    return modern.fetch(bare, { authInfo: toAuthInfo(connection), ...(heard === undefined ? {} : { parsedBody: heard }) });
  };

  return {
    fetch: async (request) => app.fetch(request),
    idle: calls.idle,
    async close() {
      stopping = true;
      await Promise.all([modern.close(), legacy.close()]);
    },
  };
}

/** Undefined for a request without a body. */
async function readBody(request: Request): Promise<{ body: unknown } | Response> {
  if (request.method !== 'POST') return { body: undefined };
  if (!isJsonContentType(request.headers.get('content-type'))) return refusal(415, -32_000, 'The content type is not application/json.');
  const read = await readRequestBody(request, maxBodyBytes);
  if (read.tooLarge) return refusal(413, -32_000, `The body is larger than ${maxBodyBytes} bytes.`, { Connection: 'close' });
  try {
    return { body: JSON.parse(read.text) };
  } catch {
    return refusal(400, -32_700, 'Parse error: the body is not JSON.');
  }
}

/** A streamed answer counts until its end, not until its beginning. */
function whenEnded(response: Response, ended: () => void): Response {
  const reader = response.body?.getReader();
  if (!reader) {
    ended();
    return response;
  }
  const watched = new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        ended();
        throw error;
      });
      if (!done) return controller.enqueue(value);
      ended();
      controller.close();
    },
    cancel(reason) {
      ended();
      return reader.cancel(reason);
    },
  });
  return new Response(watched, { status: response.status, headers: response.headers });
}

function challenge(oauth: ResourceServer | undefined): Response {
  const where = oauth ? `, resource_metadata="${metadataUrl(oauth.resource)}", scope="capstan:operator"` : '';
  return refusal(401, -32_001, 'A valid bearer token is needed.', { 'WWW-Authenticate': `Bearer error="invalid_token"${where}` });
}

/** The SDK carries it from here to the factory; the token stays behind. */
function toAuthInfo(connection: Connection): AuthInfo {
  return { token: '', clientId: connection.caller.principal, scopes: [], extra: { connection } };
}

function connectionIn(info: AuthInfo | undefined): Connection {
  const connection = info?.extra?.['connection'];
  if (connection === undefined) throw new TypeError('a request came without its connection');
  return connection as Connection; // put there by toAuthInfo alone
}
