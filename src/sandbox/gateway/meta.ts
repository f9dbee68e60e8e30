import { createDecipheriv, createHash } from 'node:crypto';
import pg from 'pg';
import { z } from 'zod';
import { type Login, withClient } from '../postgres/database.ts';
import { logTo } from '../stack/container-logs.ts';
import { answer, loginOf, setting, type Upstream, type UpstreamRequest } from './upstream.ts';

/** OpenSSL's EVP_BytesToKey with MD5, as crypto-js uses it: 32 bytes of key, 16 of IV. */
function deriveKey(passphrase: string, salt: Buffer): { key: Buffer; iv: Buffer } {
  let block = Buffer.alloc(0);
  let all = Buffer.alloc(0);
  while (all.length < 48) {
    block = createHash('md5')
      .update(Buffer.concat([block, Buffer.from(passphrase, 'utf8'), salt]))
      .digest();
    all = Buffer.concat([all, block]);
  }
  return { key: all.subarray(0, 32), iv: all.subarray(32, 48) };
}

/** Opens what `CryptoJS.AES.encrypt(text, passphrase)` made; throws on a wrong passphrase. */
export function decryptConnection(encrypted: string, passphrase: string): string {
  const bytes = Buffer.from(encrypted, 'base64');
  if (bytes.subarray(0, 8).toString('latin1') !== 'Salted__') throw new Error('not an encrypted connection string');
  const { key, iv } = deriveKey(passphrase, bytes.subarray(8, 16));
  const decipher = createDecipheriv('aes-256-cbc', key, iv);
  return Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()]).toString('utf8');
}

/** Who logs in: the user of meta's own settings (a superuser), or the one of x-connection-encrypted. */
function login(request: UpstreamRequest): Login {
  const encrypted = request.headers.get('x-connection-encrypted');
  if (encrypted !== null) return loginOf(decryptConnection(encrypted, setting(request.stack, 'meta', 'CRYPTO_KEY')));
  return { user: setting(request.stack, 'meta', 'PG_META_DB_USER'), password: setting(request.stack, 'meta', 'PG_META_DB_PASSWORD') };
}

function errorAnswer(error: unknown): Response {
  if (error instanceof pg.DatabaseError) {
    const { message, code, severity, detail, hint, position, schema, table, column, constraint, routine } = error;
    const formattedError = `${severity}:  ${code}: ${message}`;
    const fields = { name: error.name, severity, code, detail, hint, position, schema, table, column, constraint, routine };
    return answer(400, { error: formattedError, message, formattedError, ...fields });
  }
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return answer(400, { error: message, message, ...(code === undefined ? {} : { code }) });
}

async function run(request: UpstreamRequest, sql: string, parameters: unknown[] = []): Promise<Response> {
  try {
    return await withClient(request.database.connect(login(request)), async (client) => {
      // Several statements give several results, although the types speak of one.
      const result: pg.QueryResult | pg.QueryResult[] =
        parameters.length === 0 ? await client.query(sql) : await client.query(sql, parameters);
      const last = Array.isArray(result) ? result.at(-1) : result;
      return answer(200, last?.rows ?? []);
    });
  } catch (error) {
    // As Postgres does by log_min_error_statement: the statement that failed stands in the log, whatever is in it.
    if (error instanceof pg.DatabaseError) logTo(request.stack, 'db', `ERROR:  ${error.message}\nSTATEMENT:  ${sql}`);
    return errorAnswer(error);
  }
}

const body = z.object({ query: z.string().min(1), parameters: z.array(z.unknown()).optional() });

/** postgres-meta, as far as we use it: SQL, health and the list of schemas. */
export const meta: Upstream = async (request) => {
  if (request.path === '/health') return answer(200, { date: new Date().toISOString() });
  if (request.path === '/schemas' && request.method === 'GET') {
    return run(
      request,
      `select oid::int8 as id, nspname as name, pg_get_userbyid(nspowner) as owner from pg_namespace where nspname !~ '^pg_' order by 2`,
    );
  }
  if (request.path === '/query' && request.method === 'POST') {
    const parsed = body.safeParse(parseJson(request.body));
    return parsed.success ? run(request, parsed.data.query, parsed.data.parameters) : answer(400, { error: 'query not found' });
  }
  return answer(404, { message: `Route ${request.method}:${request.path} not found`, error: 'Not Found', statusCode: 404 });
};

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
