import { withClient } from '../postgres/database.ts';
import { bearerOf, verifyToken } from './jwt.ts';
import { answer, loginOf, setting, type Upstream, type UpstreamRequest } from './upstream.ts';

/** storage-api answers 400 and says the real status inside. */
const failure = (statusCode: string, error: string, message: string): Response => answer(400, { statusCode, error, message });

async function buckets(request: UpstreamRequest): Promise<Response> {
  const token = bearerOf(request.headers);
  if (token === undefined) return failure('400', 'Error', "headers must have required property 'authorization'");
  const verdict = await verifyToken(token, setting(request.stack, 'storage', 'AUTH_JWT_SECRET', 'PGRST_JWT_SECRET'));
  if (!verdict.ok) {
    const message = verdict.reason === 'expired' ? '"exp" claim timestamp check failed' : 'signature verification failed';
    return failure('403', 'Unauthorized', message);
  }
  const role = ['authenticated', 'service_role'].find((name) => name === verdict.claims.role) ?? 'anon';
  try {
    return await withClient(request.database.connect(loginOf(setting(request.stack, 'storage', 'DATABASE_URL'))), async (client) => {
      await client.query('begin read only');
      await client.query(`set local role ${role}`);
      const rows = await client.query(
        'select id, name, owner, public, file_size_limit, allowed_mime_types, created_at, updated_at from storage.buckets',
      );
      return answer(200, rows.rows);
    });
  } catch {
    return answer(500, { statusCode: '500', error: 'Internal', message: 'The database is not reachable.' });
  }
}

/** storage-api, as far as probes go: status, version and the list of buckets. */
export const storage: Upstream = async (request) => {
  const read = request.method === 'GET' || request.method === 'HEAD';
  if (read && request.path === '/status') return new Response('', { status: 200 });
  if (read && request.path === '/version') {
    const image = request.stack.services.find((service) => service.name === 'storage')?.image ?? '';
    return new Response(image.split(':')[1]?.replace(/^v/, '') ?? '', { status: 200 });
  }
  if (read && request.path === '/bucket') return buckets(request);
  return answer(404, { message: `Route ${request.method}:${request.path} not found`, error: 'Not Found', statusCode: 404 });
};
