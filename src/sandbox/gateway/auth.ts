import { withClient } from '../postgres/database.ts';
import { bearerOf, verifyToken } from './jwt.ts';
import { answer, loginOf, setting, type Upstream, type UpstreamRequest } from './upstream.ts';

const version = (request: UpstreamRequest): string => {
  const image = request.stack.services.find((service) => service.name === 'auth')?.image ?? '';
  return image.split(':')[1] ?? 'v2';
};

const isTrue = (request: UpstreamRequest, name: string): boolean => setting(request.stack, 'auth', name) === 'true';

function settings(request: UpstreamRequest): Response {
  return answer(200, {
    external: {
      anonymous_users: isTrue(request, 'GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED'),
      email: isTrue(request, 'GOTRUE_EXTERNAL_EMAIL_ENABLED'),
      phone: isTrue(request, 'GOTRUE_EXTERNAL_PHONE_ENABLED'),
    },
    disable_signup: isTrue(request, 'GOTRUE_DISABLE_SIGNUP'),
    mailer_autoconfirm: isTrue(request, 'GOTRUE_MAILER_AUTOCONFIRM'),
    phone_autoconfirm: isTrue(request, 'GOTRUE_SMS_AUTOCONFIRM'),
    sms_provider: '',
    saml_enabled: false,
  });
}

const refusal = (code: number, error_code: string, msg: string): Response => answer(code, { code, error_code, msg });

/** The admin routes want a token of service_role, signed with this stack's secret. */
async function refuseAdmin(request: UpstreamRequest): Promise<Response | undefined> {
  const token = bearerOf(request.headers);
  if (token === undefined) return refusal(401, 'no_authorization', 'This endpoint requires a valid Bearer token');
  const verdict = await verifyToken(token, setting(request.stack, 'auth', 'GOTRUE_JWT_SECRET'));
  if (!verdict.ok) {
    const why = {
      signature: 'token signature is invalid: signature is invalid',
      expired: 'token has invalid claims: token is expired',
      malformed: 'token is malformed',
    };
    return refusal(403, 'bad_jwt', `invalid JWT: unable to parse or verify signature, ${why[verdict.reason]}`);
  }
  const role = verdict.claims.role;
  return role === 'service_role' || role === 'supabase_admin' ? undefined : refusal(403, 'not_admin', 'User not allowed');
}

async function listUsers(request: UpstreamRequest): Promise<Response> {
  const limit = Math.max(1, Number(request.query.get('per_page') ?? 50) || 50);
  const offset = (Math.max(1, Number(request.query.get('page') ?? 1) || 1) - 1) * limit;
  const login = loginOf(setting(request.stack, 'auth', 'GOTRUE_DB_DATABASE_URL'));
  try {
    return await withClient(request.database.connect(login), async (client) => {
      const columns = 'id, aud, role, email, phone, created_at, updated_at, is_anonymous';
      const users = await client.query(`select ${columns} from auth.users order by created_at desc limit $1 offset $2`, [limit, offset]);
      const total = await client.query<{ count: string }>('select count(*)::text as count from auth.users');
      return answer(200, { users: users.rows, aud: 'authenticated' }, { 'x-total-count': total.rows[0]?.count ?? '0' });
    });
  } catch {
    return refusal(500, 'unexpected_failure', 'Database error finding users');
  }
}

/** GoTrue, as far as probes go: health, settings and the list of users. */
export const auth: Upstream = async (request) => {
  const { method, path } = request;
  if (method !== 'GET' && method !== 'HEAD') return refusal(404, 'not_found', 'the sandbox has no such auth route');
  if (path === '/health') {
    const description = 'GoTrue is a user registration and authentication API';
    return answer(200, { version: version(request), name: 'GoTrue', description });
  }
  if (path === '/settings') return settings(request);
  if (path === '/.well-known/jwks.json') return answer(200, { keys: [] });
  if (path === '/admin/users') return (await refuseAdmin(request)) ?? listUsers(request);
  return refusal(404, 'not_found', 'the sandbox has no such auth route');
};
