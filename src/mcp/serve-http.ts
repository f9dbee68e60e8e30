/**
 * The HTTP server under the MCP door. Invariants:
 * 1. A head must come within 10 s and a body within 20 s, or the connection is closed; there are at most 2,000 connections.
 * 2. Closing takes no new connection, lets what is being answered end for a moment, and then ends it.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import { AppError } from '../errors.ts';
import { createRoutes, type RouteDeps } from './http/routes.ts';

export type HttpServing = {
  /** Where MCP is spoken, such as http://127.0.0.1:8484/mcp. */
  url: string;
  close(graceMs: number): Promise<void>;
};

const timeouts = { headersTimeout: 10_000, requestTimeout: 20_000, keepAliveTimeout: 5_000, connectionsCheckingInterval: 1_000 };
const maxConnections = 2_000;

/** Resolves when connections are taken. Throws PORT_UNUSABLE. */
export async function serveOverHttp(deps: RouteDeps, { host, port }: { host: string; port: number }): Promise<HttpServing> {
  const routes = createRoutes(deps);
  const server = serve({
    fetch: routes.fetch,
    hostname: host,
    port,
    overrideGlobalObjects: false,
    serverOptions: { ...timeouts, maxHeaderSize: 32_768 },
  });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', () => resolve());
    server.once('error', (cause) =>
      reject(
        new AppError('PORT_UNUSABLE', {
          message: `The address ${host} port ${port} cannot be listened on.`,
          fix: 'Take another with --port, or end what uses it; --host must be an address of this machine.',
          cause,
        }),
      ),
    );
  });
  if ('maxConnections' in server) server.maxConnections = maxConnections;
  const { port: bound } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/mcp`,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const patience = new AbortController();
      await Promise.race([routes.idle(), wait(graceMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
      patience.abort();
      await routes.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
    },
  };
}
