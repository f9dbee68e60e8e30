import pg from 'pg';
import { withClient } from '../postgres/database.ts';
import { bearerOf, verifyToken } from './jwt.ts';
import { answer, loginOf, setting, type Upstream, type UpstreamRequest } from './upstream.ts';

const apiRoles = ['anon', 'authenticated', 'service_role'];

const failure = (status: number, code: string, message: string, details: string | null = null, hint: string | null = null): Response =>
  answer(status, { code, details, hint, message }, status === 401 ? { 'www-authenticate': 'Bearer' } : {});

/** The role a request acts as, or PostgREST's refusal of its token. */
async function roleOf(request: UpstreamRequest): Promise<{ role: string; claims: string } | Response> {
  const token = bearerOf(request.headers);
  if (token === undefined) return { role: 'anon', claims: '{"role":"anon"}' };
  const verdict = await verifyToken(token, setting(request.stack, 'rest', 'PGRST_JWT_SECRET'));
  if (verdict.ok) return { role: String(verdict.claims.role ?? 'anon'), claims: JSON.stringify(verdict.claims) };
  if (verdict.reason === 'expired') return failure(401, 'PGRST303', 'JWT expired');
  return failure(401, 'PGRST301', 'JWSError JWSInvalidSignature');
}

async function root(client: pg.Client): Promise<Response> {
  const tables = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'v', 'm', 'p', 'f') and has_table_privilege(c.oid, 'select') order by 1`,
  );
  const paths = Object.fromEntries([['/', { get: {} }], ...tables.rows.map(({ name }) => [`/${name}`, { get: { tags: [name] } }])]);
  const definitions = Object.fromEntries(tables.rows.map(({ name }) => [name, { type: 'object' }]));
  const info = { title: 'standard public schema', description: '', version: '14.12' };
  return answer(
    200,
    { swagger: '2.0', info, basePath: '/', paths, definitions },
    { 'content-type': 'application/openapi+json; charset=utf-8' },
  );
}

async function table(client: pg.Client, name: string, query: URLSearchParams): Promise<Response> {
  const found = await client.query(
    `select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relname = $1`,
    [name],
  );
  if (found.rowCount === 0) return failure(404, 'PGRST205', `Could not find the table 'public.${name}' in the schema cache`);
  const wanted = query.get('select') ?? '*';
  const columns =
    wanted === '*' || wanted === ''
      ? '*'
      : wanted
          .split(',')
          .map((column) => pg.escapeIdentifier(column.trim()))
          .join(', ');
  const limit = query.get('limit');
  const clause = limit !== null && /^\d+$/.test(limit) ? ` limit ${limit}` : '';
  const rows = await client.query(`select ${columns} from public.${pg.escapeIdentifier(name)}${clause}`);
  return answer(200, rows.rows, { 'content-range': rows.rowCount === 0 ? '*/*' : `0-${(rows.rowCount ?? 1) - 1}/*` });
}

function databaseFailure(error: unknown, role: string): Response {
  const { code, message } =
    error instanceof Error && 'code' in error
      ? { code: String(error.code), message: error.message }
      : { code: 'PGRST000', message: String(error) };
  if (code === '42501') return failure(role === 'anon' ? 401 : 403, code, message);
  if (code === '42703') return failure(400, code, message);
  return failure(503, 'PGRST000', 'Database client error. Retrying the connection.', message);
}

/** PostgREST, as far as probes go: its root document and plain reads of public tables, under row level security. */
export const rest: Upstream = async (request) => {
  const acting = await roleOf(request);
  if (acting instanceof Response) return acting;
  if (!apiRoles.includes(acting.role)) return failure(401, '22023', `role "${acting.role}" does not exist`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return failure(405, 'PGRST117', `Unsupported HTTP method: ${request.method}`);
  try {
    return await withClient(request.database.connect(loginOf(setting(request.stack, 'rest', 'PGRST_DB_URI'))), async (client) => {
      await client.query('begin read only');
      await client.query(`set local role ${acting.role}`);
      await client.query(`select set_config('request.jwt.claims', $1, true)`, [acting.claims]);
      return request.path === '/' ? root(client) : await table(client, request.path.slice(1), request.query);
    });
  } catch (error) {
    return databaseFailure(error, acting.role);
  }
};
