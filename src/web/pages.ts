/**
 * The approval page (design §5): a person's yes, or a secret, without a terminal and without the client's help. Invariants:
 * 1. It listens on the loopback address only, from the first link on, and stops when no link is open any more.
 * 2. It never keeps its process alive.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { ApprovalRow } from '../engine/ports.ts';
import { createLinks, type Link, type SecretSubject, type Subject } from './links.ts';
import { createRoutes, type RouteDeps } from './routes.ts';

export type SecretRequest = Pick<SecretSubject, 'runId' | 'runName' | 'title'> & { fields: readonly string[] };

/** Where the person types it, and which references stand for it afterwards. */
export type SecretAsked = { id: string; url: string; references: Record<string, string> };

export type Pages = {
  /** The address where a person answers this request; undefined after too many wrong answers. */
  forApproval(asked: Pick<ApprovalRow, 'id' | 'runId' | 'expiresAt'>): Promise<string | undefined>;
  /** The same address for the same fields of the same run while they are open. */
  forSecrets(request: SecretRequest): Promise<SecretAsked>;
  /** How a request for secrets ends; undefined for an id that was not given out here. */
  outcome(id: string): Promise<'done' | 'declined'> | undefined;
  close(): void;
};

const secretMs = 60 * 60_000;
const lingerMs = 60_000;

type Deps = Omit<RouteDeps, 'links' | 'host' | 'onUsed'> & { now: () => number };
type Ending = { settle: (outcome: 'done' | 'declined') => void; ended: Promise<'done' | 'declined'> };

export function createPages(deps: Deps): Pages {
  const links = createLinks(deps.now);
  const asked = new Map<string, SecretSubject>();
  const endings = new Map<string, Ending>();
  let listening: Promise<Server> | undefined;
  let host = '';
  let idle: NodeJS.Timeout | undefined;

  const stop = () => {
    clearTimeout(idle);
    void listening?.then((server) => {
      server.close();
      server.closeIdleConnections();
    });
    listening = undefined;
  };
  /** A moment after the last link: the end page and its style are still asked for. */
  const stopWhenIdle = () => {
    clearTimeout(idle);
    idle = setTimeout(() => (links.open() === 0 ? stop() : stopWhenIdle()), lingerMs).unref();
  };
  const routes = createRoutes({
    ...deps,
    links,
    host: () => host,
    onUsed({ subject }, outcome) {
      endings.get(subject.id)?.settle(outcome);
      for (const [key, each] of asked) if (each.id === subject.id) asked.delete(key);
      stopWhenIdle();
    },
  });
  const listen = async (): Promise<void> => {
    listening ??= startServer(routes.fetch);
    const { port } = (await listening).address() as AddressInfo; // a TCP server that listens has one
    host = `127.0.0.1:${port}`;
    stopWhenIdle();
  };
  const urlOf = async (subject: Subject): Promise<string | undefined> => {
    const link: Link | undefined = links.mint(subject);
    if (!link) return undefined;
    await listen();
    return `http://${host}/${link.token}`;
  };

  return {
    forApproval: ({ id, runId, expiresAt }) => urlOf({ kind: 'approval', id, runId, expiresAt }),
    async forSecrets({ fields, ...request }) {
      const key = JSON.stringify([request.runId, request.title, [...fields].sort()]);
      const known = asked.get(key);
      const subject: SecretSubject =
        known && known.expiresAt > deps.now()
          ? known
          : {
              kind: 'secrets',
              id: randomUUID(),
              ...request,
              fields: Object.fromEntries(fields.map((field) => [field, randomUUID()])),
              expiresAt: deps.now() + secretMs,
            };
      asked.set(key, subject);
      if (!endings.has(subject.id)) endings.set(subject.id, pending());
      const references = Object.fromEntries(Object.entries(subject.fields).map(([field, id]) => [field, `secret:${id}`]));
      return { id: subject.id, url: (await urlOf(subject)) ?? '', references };
    },
    outcome: (id) => endings.get(id)?.ended,
    close: stop,
  };
}

function pending(): Ending {
  let settle: Ending['settle'] = () => undefined;
  const ended = new Promise<'done' | 'declined'>((resolve) => {
    settle = resolve;
  });
  return { settle, ended };
}

function startServer(fetch: (request: Request) => Response | Promise<Response>): Promise<Server> {
  const server = createServer(getRequestListener(fetch, { overrideGlobalObjects: false }));
  server.requestTimeout = 30_000;
  server.maxConnections = 50;
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
