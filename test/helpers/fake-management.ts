/**
 * A stand-in for the cloud's Management API that keeps to its public document, behind the real name and a certificate of its own. SQL runs on a
 * real Postgres: as supabase_read_only_user where it is asked to only read, as postgres otherwise, one statement at a time, under the limit of
 * time that the roles of a project have.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { z } from 'zod';
import { createAuthority } from './certificates.ts';
import type { TestServer } from './databases.ts';

export const projectRef = 'abcdefghijklmnopqrst';
export const accessToken = 'sbp_canary0123456789abcdef0123456789abcdef01';
export const managementDocument = JSON.parse(readFileSync(new URL('../fixtures/management-api.json', import.meta.url), 'utf8'));

/** Whether a value is of the shape that the document gives that name. */
export const conforms = (schema: string, value: unknown): boolean =>
  z.fromJSONSchema(managementDocument.components.schemas[schema], { defaultTarget: 'openapi-3.0' }).safeParse(value).success;

type Answer = { status: number; body?: unknown };

export type FakeManagement = {
  /** `METHOD path` of every request, in order; the bodies of those that had one. */
  asked: string[];
  bodies: unknown[];
  headers: IncomingHttpHeaders[];
  ca: string;
  resolve: string[];
  /** Answers instead of what would come, by path under the project; undefined takes it back. */
  answer(path: string, answer: Answer | undefined): void;
  close(): void;
};

export type FakeManagementOptions = {
  /** Paths under `/v1/projects/{ref}` that are read, and what they answer. */
  answers?: Record<string, unknown>;
  /** Where SQL runs. */
  server?: Pick<TestServer, 'port' | 'password'>;
  /** `read_only` is overlooked, as an older version might. */
  overlooksReadOnly?: boolean;
};

/** The limit of the roles, in ms. */
const statementMs = 4_000;

export async function startManagement({ answers = {}, server, overlooksReadOnly = false }: FakeManagementOptions): Promise<FakeManagement> {
  const authority = createAuthority();
  const asked: string[] = [];
  const bodies: unknown[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const instead = new Map<string, Answer>();
  const respond = async (request: IncomingMessage): Promise<Answer> => {
    const body = await bodyOf(request);
    asked.push(`${request.method} ${request.url}`);
    headers.push(request.headers);
    if (body !== undefined) bodies.push(body);
    if (request.headers.authorization !== `Bearer ${accessToken}`) return { status: 401, body: { message: 'Unauthorized' } };
    const path = request.url?.startsWith(`/v1/projects/${projectRef}`) ? request.url.slice(`/v1/projects/${projectRef}`.length) : undefined;
    if (path === undefined) return { status: 404, body: { message: 'Project not found' } };
    const given = instead.get(path);
    if (given !== undefined) return given;
    if (request.method === 'GET') return path in answers ? { status: 200, body: answers[path] } : { status: 404, body: { message: 'no' } };
    const schema = { '/database/query': 'V1RunQueryBody', '/database/query/read-only': 'V1ReadOnlyQueryBody' }[path];
    if (schema === undefined || server === undefined) return { status: 404 };
    if (!conforms(schema, body)) return { status: 400, body: { message: 'Bad request' } };
    const { query, parameters = [], read_only } = body as { query: string; parameters?: unknown[]; read_only?: boolean };
    const reads = path.endsWith('/read-only') || (read_only === true && !overlooksReadOnly);
    return runSql(server, reads ? 'supabase_read_only_user' : 'postgres', query, parameters);
  };
  const listener = createServer(authority.issue({ names: ['api.supabase.com'] }), (request, response) => {
    void respond(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body === undefined ? '' : JSON.stringify(body));
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    asked,
    bodies,
    headers,
    ca: authority.ca,
    resolve: [`api.supabase.com:443:127.0.0.1:${(listener.address() as AddressInfo).port}`],
    answer(path, answer) {
      if (answer === undefined) instead.delete(path);
      else instead.set(path, answer);
    },
    close() {
      listener.close();
      listener.closeAllConnections();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text === '' ? undefined : JSON.parse(text);
}

async function runSql(server: Pick<TestServer, 'port' | 'password'>, user: string, text: string, values: unknown[]): Promise<Answer> {
  const { port, password } = server;
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres', statement_timeout: statementMs });
  client.on('error', () => undefined);
  await client.connect();
  try {
    // The driver knows queryMode, its types do not: a prepared statement is exactly one.
    const asked = { text, values, queryMode: 'extended' };
    return { status: 201, body: (await client.query(asked)).rows };
  } catch (error) {
    const { code, message, hint } = error as { code?: string; message: string; hint?: string };
    const said = `Failed to run sql query: ERROR:  ${code}: ${message}\nLINE 1: …${hint === undefined ? '' : `\nHINT:  ${hint}`}`;
    return { status: 400, body: { message: said } };
  } finally {
    await client.end().catch(() => undefined);
  }
}
