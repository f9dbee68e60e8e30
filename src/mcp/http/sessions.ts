/**
 * Sessions of the 2025 revisions over HTTP, so that such a client can be asked too (the stateless way cannot). Invariants:
 * 1. A session belongs to the connection that began it: for another principal, or one with other rights, it does not exist.
 * 2. There are at most so many, per principal and together; one that nobody used for half an hour goes.
 */
import { randomUUID } from 'node:crypto';
import { isInitializeRequest, type McpServer, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server';
import type { Connection } from '../connection.ts';
import { refusal } from './refusal.ts';

const idleMs = 30 * 60_000;
const maxTogether = 1_000;
const maxPerPrincipal = 200;

type Session = { transport: WebStandardStreamableHTTPServerTransport; server: McpServer; owner: string; principal: string; usedAt: number };

export type Sessions = {
  handle(request: Request, body: unknown, connection: Connection): Promise<Response>;
  close(): Promise<void>;
};

export function createSessions(create: (connection: Connection) => McpServer, now: () => number = Date.now): Sessions {
  const sessions = new Map<string, Session>();

  const begin = async (request: Request, body: unknown, connection: Connection): Promise<Response> => {
    makeRoom(connection.caller.principal);
    const server = create(connection);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        sessions.set(id, { transport, server, owner: JSON.stringify(connection), principal: connection.caller.principal, usedAt: now() });
      },
      onsessionclosed: (id) => end(id),
    });
    await server.connect(transport);
    return transport.handleRequest(request, { parsedBody: body });
  };

  const end = async (id: string): Promise<void> => {
    const session = sessions.get(id);
    sessions.delete(id);
    await session?.server.close();
  };

  /** The Map is in order of use: the least used go first. */
  const makeRoom = (principal: string): void => {
    for (const [id, { usedAt }] of sessions) if (now() - usedAt > idleMs) void end(id);
    const own = [...sessions].filter(([, session]) => session.principal === principal);
    const [oldest] = own.length >= maxPerPrincipal ? own : sessions.size >= maxTogether ? [...sessions] : [];
    if (oldest) void end(oldest[0]);
  };

  return {
    async handle(request, body, connection) {
      const id = request.headers.get('mcp-session-id');
      if (id === null) {
        if (isInitializeRequest(body)) return begin(request, body, connection);
        if (request.method !== 'POST') return refusal(405, -32_000, 'Method not allowed.', { Allow: 'POST' });
        return refusal(400, -32_000, 'There is no session: begin with initialize, or send the envelope of 2026-07-28.');
      }
      const session = sessions.get(id);
      if (!session || session.owner !== JSON.stringify(connection)) return refusal(404, -32_001, 'Session not found');
      session.usedAt = now();
      sessions.delete(id);
      sessions.set(id, session);
      return session.transport.handleRequest(request, body === undefined ? {} : { parsedBody: body });
    },
    async close() {
      await Promise.all([...sessions.keys()].map(end));
    },
  };
}
