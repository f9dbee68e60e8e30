/**
 * One procedure call to Dokploy. Invariants:
 * 1. What goes out is checked by a strict schema, what comes back by a loose one; an answer of another shape is an error that names where.
 * 2. After a 2xx on a write nothing that goes wrong here may say "not applied".
 * 3. The key goes out in one header and nowhere else.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { DokployConnection } from '../handler.ts';
import { parseBaseUrl } from '../http/addresses.ts';
import { createHttp } from '../http/http.ts';
import type { Limiter } from './rate-limit.ts';
import { toRefusal } from './refusals.ts';

export type CallOptions = { limiter: Limiter; signal?: AbortSignal; timeoutMs?: number };

export type GetOptions = {
  query?: Record<string, string | number | undefined>;
  /** Sent without the key: the health route asks for none, and a key costs two of its verifications a call. */
  withoutKey?: true;
};

export type PostOptions = {
  timeoutMs?: number;
  /** Dokploy changes things before it refuses: then even a 4xx leaves doubt. */
  halfway?: true;
  /** A POST that changes nothing. */
  readOnly?: true;
};

export type Caller = {
  /** Undefined stands for an empty body; the schema says whether that is allowed. */
  get<T extends z.ZodType>(procedure: string, answer: T, options?: GetOptions): Promise<z.output<T>>;
  post<B extends z.ZodType, T extends z.ZodType>(
    procedure: string,
    schema: B,
    body: z.input<B>,
    answer: T,
    options?: PostOptions,
  ): Promise<z.output<T>>;
};

/** Keys that were accepted in this process, as hashes: tells a used-up key from a wrong one. */
const acceptedKeys = new Set<string>();

/** Makes the caller for one connection. Throws URL_INVALID or ADDRESS_REFUSED for its address. */
export function createCaller(connection: DokployConnection, options: CallOptions): Caller {
  const base = parseBaseUrl(connection.url, { allowPath: true }).url;
  const http = createHttp(connection.reach, {
    ...(options.signal ? { signal: options.signal } : {}),
    timeoutMs: options.timeoutMs ?? 30_000,
  });
  const keyHash = createHash('sha256').update(`${base}\n${connection.apiKey}`).digest('hex');

  async function call(
    method: 'GET' | 'POST',
    procedure: string,
    path: string,
    withKey: boolean,
    json: unknown,
    post: PostOptions,
  ): Promise<unknown> {
    await options.limiter.take(options.signal).catch((reason: unknown) => {
      throw stoppedWhileWaiting(connection.name, procedure, reason, options.signal);
    });
    const answer = await http.request({
      method,
      url: `${base}/api/${path}`,
      headers: { accept: 'application/json', ...(withKey ? { 'x-api-key': connection.apiKey } : {}) },
      ...(json === undefined ? {} : { json }),
      ...(post.timeoutMs === undefined ? {} : { timeoutMs: post.timeoutMs }),
      ...(post.readOnly ? { readOnly: true } : {}),
    });
    if (answer.status >= 200 && answer.status < 300) {
      if (withKey) acceptedKeys.add(keyHash);
      return readAnswer(connection.name, procedure, answer.text, isWrite(method, post));
    }
    throw toRefusal({
      name: connection.name,
      origin: new URL(base).origin,
      procedure,
      method: isWrite(method, post) ? 'POST' : 'GET',
      ...answer,
      acceptedBefore: acceptedKeys.has(keyHash),
      halfway: post.halfway === true,
      secrets: [connection.apiKey, ...Object.values(connection.reach.headers ?? {})],
    });
  }

  return {
    async get(procedure, answer, { query = {}, withoutKey } = {}) {
      const answered = await call('GET', procedure, `${procedure}${toQuery(procedure, query)}`, withoutKey !== true, undefined, {});
      return parseAnswer(connection.name, procedure, answer, answered, false);
    },
    async post(procedure, schema, body, answer, post = {}) {
      const answered = await call('POST', procedure, procedure, true, parseBody(procedure, schema, body), post);
      return parseAnswer(connection.name, procedure, answer, answered, isWrite('POST', post));
    },
  };
}

function isWrite(method: 'GET' | 'POST', post: PostOptions): boolean {
  return method === 'POST' && post.readOnly !== true;
}

function stoppedWhileWaiting(name: string, procedure: string, reason: unknown, signal: AbortSignal | undefined): unknown {
  if (!signal?.aborted) return reason;
  return new AppError('ABORTED', {
    message: `The call ${procedure} to the Dokploy "${name}" was stopped before it was sent.`,
    fix: 'Nothing to do: the run goes on when it is resumed.',
    retry: 'later',
  });
}

/** Dokploy treats an empty value as absent and answers 400: that is our mistake, so it is found here. */
function toQuery(procedure: string, query: Record<string, string | number | undefined>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    if (value === '') throw new TypeError(`${procedure}: ${name} is empty`);
    params.set(name, String(value));
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function parseBody<B extends z.ZodType>(procedure: string, schema: B, body: z.input<B>): z.output<B> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  // Only paths: a message of the schema could repeat a value.
  throw new TypeError(`${procedure}: not sent, because these fields are wrong: ${pathsOf(parsed.error)}`);
}

function readAnswer(name: string, procedure: string, text: string, write: boolean): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw unexpected(name, procedure, 'the whole body, which is not JSON', write);
  }
}

function parseAnswer<T extends z.ZodType>(name: string, procedure: string, schema: T, answer: unknown, write: boolean): z.output<T> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw unexpected(name, procedure, answer === undefined ? 'the whole body, which is empty' : pathsOf(parsed.error), write);
}

function pathsOf(error: z.ZodError): string {
  const paths = error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys : [issue.path.join('.') || 'the whole body'],
  );
  return [...new Set(paths)].slice(0, 5).join(', ');
}

function unexpected(name: string, procedure: string, where: string, write: boolean): AppError {
  return new AppError('DOKPLOY_UNEXPECTED_ANSWER', {
    message: `The Dokploy "${name}" answered ${procedure} in an unexpected shape at ${where}.`,
    fix: 'Check that the address leads to Dokploy and not to a proxy’s page; a much newer Dokploy may need a newer Capstan.',
    applied: write ? 'unknown' : 'no',
    details: { procedure, where },
  });
}
