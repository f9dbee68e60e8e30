/**
 * The cloud's Management API, and what it says of a project: where its poolers listen, which Postgres it runs. Reads only. Invariants:
 * 1. The host of a pooler is never composed: it is what the API answers.
 * 2. The token goes to api.supabase.com alone.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { createHttp, type HttpAnswer } from '../http/http.ts';

const base = 'https://api.supabase.com';

const poolers = z.array(
  z.looseObject({
    database_type: z.enum(['PRIMARY', 'READ_REPLICA']),
    db_user: z.string(),
    db_host: z.string(),
    db_port: z.number().int(),
    db_name: z.string(),
    pool_mode: z.enum(['transaction', 'session']),
  }),
);
const project = z.looseObject({
  ref: z.string(),
  region: z.string(),
  status: z.string(),
  database: z.looseObject({ host: z.string(), version: z.string() }),
});

export type ManagementWay = {
  /** Of the project. */
  ref: string;
  token: string;
  reach: Reach;
};

export type ManagementRequest = { method: 'GET' | 'POST'; path: string; json?: unknown; timeoutMs?: number; maxBytes?: number };

/** One question about a project, answered with any status. What it is asked for here changes nothing. Throws the codes of http/failure.ts. */
export function askManagement(
  { ref, token, reach }: ManagementWay,
  { path, ...request }: ManagementRequest,
  signal?: AbortSignal,
): Promise<HttpAnswer> {
  // Headers that the owner gave are for the target's own hosts.
  const { headers: _, ...there } = reach;
  const http = createHttp(there, { timeoutMs: 20_000, ...(signal ? { signal } : {}) });
  return http.request({
    ...request,
    url: `${base}/v1/projects/${ref}${path}`,
    headers: { authorization: `Bearer ${token}` },
    readOnly: true,
  });
}

export type CloudPooler = { host: string; port: number; database: string; user: string; mode: 'session' | 'transaction' };
export type CloudProject = { region: string; status: string; databaseHost: string; databaseVersion: string; poolers: CloudPooler[] };

/** Throws CLOUD_TOKEN_REFUSED, CLOUD_PROJECT_UNKNOWN, CLOUD_UNAVAILABLE and the codes of http/failure.ts. */
export async function readCloudProject(ref: string, token: string, reach: Reach, signal?: AbortSignal): Promise<CloudProject> {
  const ask = async <S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S>> => {
    const answer = await askManagement({ ref, token, reach }, { method: 'GET', path }, signal);
    if (answer.status !== 200) throw refusedBy(answer, ref);
    const parsed = schema.safeParse(parseJson(answer.text));
    if (parsed.success) return parsed.data;
    throw unlike(ref);
  };
  const [{ region, status, database }, all] = await Promise.all([ask('', project), ask('/config/database/pooler', poolers)]);
  return {
    region,
    status,
    databaseHost: database.host,
    databaseVersion: database.version,
    poolers: all
      .filter(({ database_type }) => database_type === 'PRIMARY')
      .map(({ db_host, db_port, db_name, db_user, pool_mode }) => ({
        host: db_host,
        port: db_port,
        database: db_name,
        user: db_user,
        mode: pool_mode,
      })),
  };
}

const apiKeys = z.array(z.looseObject({ type: z.enum(['legacy', 'publishable', 'secret']).nullish() }));

/** Whether a project has keys of the form sb_…; the keys themselves are neither asked for nor kept. Throws like readCloudProject. */
export async function hasNewKeys(way: ManagementWay, signal?: AbortSignal): Promise<boolean> {
  const answer = await askManagement(way, { method: 'GET', path: '/api-keys?reveal=false' }, signal);
  if (answer.status !== 200) throw refusedBy(answer, way.ref);
  const listed = apiKeys.safeParse(parseJson(answer.text));
  if (!listed.success) throw unlike(way.ref);
  return listed.data.some(({ type }) => type === 'publishable' || type === 'secret');
}

function unlike(ref: string): AppError {
  return new AppError('CLOUD_UNAVAILABLE', {
    message: `The Management API answers something else than its document says, about the project ${ref}.`,
    fix: 'Add the connection string of the session pooler with --connection; the dashboard shows it.',
  });
}

/** What an answer that is no success means. */
export function refusedBy({ status }: HttpAnswer, ref: string): AppError {
  if (status === 401 || status === 403)
    return new AppError('CLOUD_TOKEN_REFUSED', {
      message: `The Management API refuses the access token for the project ${ref} (status ${status}).`,
      fix: 'Make a personal access token in the dashboard (Account, Access tokens) of a member of that project’s organization.',
      details: { status },
    });
  if (status === 404)
    return new AppError('CLOUD_PROJECT_UNKNOWN', {
      message: `The Management API knows no project ${ref}.`,
      fix: 'The reference stands in the address of its dashboard.',
    });
  return new AppError('CLOUD_UNAVAILABLE', {
    message: `The Management API answered with status ${status} about the project ${ref}.`,
    fix: status === 429 ? 'It takes about 120 requests a minute: wait a moment and try again.' : 'Try again later.',
    retry: 'later',
    details: { status },
  });
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
