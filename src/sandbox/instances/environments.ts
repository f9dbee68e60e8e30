/**
 * Environment texts of instances as they are met: one per generation of the template, and the current one broken in one place.
 * Every call makes fresh secrets, but for those that stand in public templates.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { parseEnv, printEnv, setEnv } from '../../env-text.ts';
import { type ExpandedTemplate, expandTemplate } from '../template-expand.ts';

export type Changes = Readonly<Record<string, string | undefined>>;

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token over any claims, right or wrong. */
export function signToken(claims: object, secret: string, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** The text with some variables set, or taken out. */
export function changed(env: string, changes: Changes): string {
  let items = parseEnv(env);
  for (const [name, value] of Object.entries(changes))
    items = value === undefined ? items.filter((item) => item.kind !== 'entry' || item.name !== name) : setEnv(items, name, value);
  return printEnv(items);
}

/** Supabase's published sample secret, as the oldest template shipped it. */
export const demoSecret = 'your-super-secret-jwt-token-with-at-least-32-characters-long';

/** The variables of the templates of 2025, with the comments that people leave behind. */
function oldText(host: string, over: Record<string, string>): string {
  const values = {
    SUPABASE_HOST: host,
    CONTAINER_PREFIX: 'shop',
    POSTGRES_PASSWORD: randomBytes(16).toString('hex'),
    DASHBOARD_USERNAME: 'supabase',
    DASHBOARD_PASSWORD: 'x'.concat(randomBytes(16).toString('hex')),
    SECRET_KEY_BASE: 'UpNVntn3cDxHJpq99YMc1T1AQgQpc8kfYTuRgBiYa15BLrx8etQoXz3gZv1/u2oq',
    VAULT_ENC_KEY: 'your-encryption-key-32-chars-min',
    POSTGRES_HOST: 'db',
    POSTGRES_DB: 'postgres',
    POSTGRES_PORT: '5432',
    POOLER_TENANT_ID: 'your-tenant-id',
    LOGFLARE_API_KEY: 'your-super-secret-and-long-logflare-key',
    LOGFLARE_LOGGER_BACKEND_API_KEY: 'your-super-secret-and-long-logflare-key',
    STUDIO_PORT: '3000',
    SITE_URL: 'http://localhost:3000',
    API_EXTERNAL_URL: `http://${host}`,
    SUPABASE_PUBLIC_URL: `http://${host}`,
    ADDITIONAL_REDIRECT_URLS: `http://${host}/*,http://localhost:3000/*`,
    ...over,
  };
  const written = Object.entries(values).reduce((env, [name, value]) => setEnv(env, name, value), parseEnv('# Old template\n'));
  return `${printEnv(written).trimEnd()}\n\n${oldTail}`;
}

const oldTail = `# --- the rest is as the template had it ---
JWT_EXPIRY=3600   # one hour
PGRST_DB_SCHEMAS=public,storage,graphql_public
DISABLE_SIGNUP=false
  ENABLE_EMAIL_SIGNUP=true
ENABLE_EMAIL_AUTOCONFIRM=false
ENABLE_ANONYMOUS_USERS=false
ENABLE_PHONE_SIGNUP=true
ENABLE_PHONE_AUTOCONFIRM=true
MAILER_URLPATHS_CONFIRMATION="/auth/v1/verify"
SMTP_ADMIN_EMAIL=admin@example.com
SMTP_HOST=supabase-mail
SMTP_PORT=2500
SMTP_USER=fake_mail_user
SMTP_PASS=fake_mail_password
SMTP_SENDER_NAME=fake_sender
STUDIO_DEFAULT_ORGANIZATION='Default Organization'
STUDIO_DEFAULT_PROJECT='Default Project'
POOLER_DEFAULT_POOL_SIZE=20
POOLER_MAX_CLIENT_CONN=100
IMGPROXY_AUTO_WEBP=true
FUNCTIONS_VERIFY_JWT=false
DOCKER_SOCKET_LOCATION=/var/run/docker.sock
`;

/** Before Dokploy 0.22.5: everything public, the roles right. */
export function generationA(host = 'supabase.dokploy'): string {
  const key = (role: string) => signToken({ role, iss: 'supabase-demo', iat: 1_641_769_200, exp: 1_799_535_600 }, demoSecret);
  return oldText(host, { JWT_SECRET: demoSecret, ANON_KEY: key('anon'), SERVICE_ROLE_KEY: key('service_role') });
}

/** May to October 2025: the payload was dropped; `secondApart` when the clock ticked between the two keys. */
export function generationB(secondApart = false, host = 'supabase.dokploy'): string {
  const secret = randomBytes(16).toString('hex');
  const key = (iat: number) => signToken({ iat, exp: 1_893_456_000, iss: 'dokploy' }, secret);
  return oldText(host, {
    SECRET_KEY_BASE: randomBytes(32).toString('hex'),
    VAULT_ENC_KEY: randomBytes(16).toString('hex'),
    JWT_SECRET: secret,
    ANON_KEY: key(1_761_309_376),
    SERVICE_ROLE_KEY: key(secondApart ? 1_761_309_377 : 1_761_309_376),
  });
}

/** The current template as Dokploy expands it. */
export function expandCurrent(toml: string, name: string): ExpandedTemplate {
  return expandTemplate(toml, name, '192.0.2.7');
}

/** The current template after its owner gave it a host, a mail server and an application: nothing is wrong with it. */
export function generationC(expanded: ExpandedTemplate, host: string): string {
  return changed(`${expanded.envs.join('\n')}\n`, {
    SUPABASE_HOST: host,
    SUPABASE_PUBLIC_URL: `https://${host}`,
    API_EXTERNAL_URL: `https://${host}`,
    SITE_URL: 'https://app.example.org',
    ADDITIONAL_REDIRECT_URLS: `https://${host}/*,http://localhost:3000/*`,
    SMTP_HOST: 'smtp.example.org',
    SMTP_PORT: '587',
    SMTP_USER: 'mailer',
    SMTP_PASS: randomBytes(12).toString('hex'),
    SMTP_ADMIN_EMAIL: 'admin@example.org',
    SMTP_SENDER_NAME: 'Shop',
  });
}
