/** Environments and facts of whole instances: one per generation of the template, and a healthy one to break in one place. */
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { diagnose } from '../../src/doctor/diagnose.ts';
import type { Facts } from '../../src/doctor/facts.ts';
import { factsOfTexts, hmacSha256 } from '../../src/effects/doctor/texts.ts';
import { realtimeHostOf } from '../../src/effects/supabase/compose-facts.ts';
import { makeApiKeys } from '../../src/effects/supabase/keys.ts';
import { generateSecrets } from '../../src/effects/supabase/secrets.ts';
import { parseEnv, printEnv, setEnv } from '../../src/env-text.ts';
import { packageFile } from '../../src/package-root.ts';
import { expandTemplate } from '../../src/sandbox/template-expand.ts';

/** 2026-11-22, in ms. */
export const now = Date.UTC(2026, 10, 22);
export const host = 'shop.example.org';
const blueprint = (name: string) => readFileSync(packageFile('src', 'sandbox', 'blueprint', name), 'utf8');
export const composeText = blueprint('docker-compose.yml');

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function token(claims: object, secret: string, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** The current template, expanded by the real helper functions. */
export function generationC(): string {
  return expandTemplate(blueprint('template.toml'), 'shop', '192.0.2.7').envs.join('\n');
}

export const demoSecret = 'your-super-secret-jwt-token-with-at-least-32-characters-long';

const oldVariables = (over: Record<string, string>) =>
  printEnv(
    Object.entries({
      SUPABASE_HOST: 'supabase.dokploy',
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
      API_EXTERNAL_URL: 'http://supabase.dokploy',
      SUPABASE_PUBLIC_URL: 'http://supabase.dokploy',
      ADDITIONAL_REDIRECT_URLS: 'http://supabase.dokploy/*,http://localhost:3000/*',
      ...over,
    }).reduce((env, [name, value]) => setEnv(env, name, value), parseEnv('# Old template\n')),
  );

/** Before Dokploy 0.22.5: everything public, the roles right. */
export function generationA(): string {
  const key = (role: string) => token({ role, iss: 'supabase-demo', iat: 1_641_769_200, exp: 1_799_535_600 }, demoSecret);
  return oldVariables({ JWT_SECRET: demoSecret, ANON_KEY: key('anon'), SERVICE_ROLE_KEY: key('service_role') });
}

/** May to October 2025: the payload was dropped; `secondApart` when the clock ticked between the two keys. */
export function generationB(secondApart = false): string {
  const secret = randomBytes(16).toString('hex');
  const key = (iat: number) => token({ iat, exp: 1_893_456_000, iss: 'dokploy' }, secret);
  const fresh = { SECRET_KEY_BASE: randomBytes(32).toString('hex'), VAULT_ENC_KEY: randomBytes(16).toString('hex') };
  return oldVariables({
    ...fresh,
    JWT_SECRET: secret,
    ANON_KEY: key(1_761_309_376),
    SERVICE_ROLE_KEY: key(secondApart ? 1_761_309_377 : 1_761_309_376),
  });
}

export type Changes = Record<string, string | undefined>;

/** The text with some variables set, or taken out. */
export function changed(env: string, changes: Changes): string {
  let items = parseEnv(env);
  for (const [name, value] of Object.entries(changes))
    items = value === undefined ? items.filter((item) => item.kind !== 'entry' || item.name !== name) : setEnv(items, name, value);
  return printEnv(items);
}

const secrets = generateSecrets();
const keys = await makeApiKeys(secrets.JWT_SECRET, now);
export const jwtSecret = secrets.JWT_SECRET;

/** The current template after a wizard: own secrets and keys, a host with https, a mail server, an application. */
export const healthyEnv = changed(generationC(), {
  ...secrets,
  ANON_KEY: keys.anonKey,
  SERVICE_ROLE_KEY: keys.serviceRoleKey,
  SUPABASE_HOST: host,
  SUPABASE_PUBLIC_URL: `https://${host}`,
  API_EXTERNAL_URL: `https://${host}`,
  SITE_URL: 'https://app.example.org',
  ADDITIONAL_REDIRECT_URLS: `https://${host}/*,http://localhost:3000/*,myapp://callback`,
  SMTP_HOST: 'smtp.example.org',
  SMTP_PORT: '587',
  SMTP_USER: 'mailer',
  SMTP_PASS: 'mail-password-1234',
  SMTP_ADMIN_EMAIL: 'admin@example.org',
  SMTP_SENDER_NAME: 'Shop',
});

export const healthyDomain = { host, https: true, port: 8000, path: '/', serviceName: 'kong', certificateType: 'letsencrypt' };

/** Everything was looked at and is well. */
export function healthyFacts(): Facts {
  return {
    ...factsOfTexts({ env: healthyEnv, compose: composeText.replace('SEED_SELF_HOST: "true"', 'SELF_HOST_TENANT_NAME: realtime') }),
    realtimeHost: realtimeHostOf(blueprint('template.toml')),
    domains: [healthyDomain],
    containers: { state: 'known', waiting: [] },
    certificate: { state: 'valid', host, expiresAt: '2027-02-01T00:00:00.000Z', daysLeft: 70 },
    live: [{ name: 'storage-answers', ok: true, side: 'none', say: 'The status of storage is accepted.' }],
    passwordRefusedBy: [],
    changedSince: [],
    jwtSecretInDatabase: true,
  };
}

export const examine = (facts: Facts) => diagnose(facts, { now, hmac: hmacSha256 });
export const codesOf = (facts: Facts) => new Set(examine(facts).findings.map(({ code }) => code));
export const ofEnv = (env: string) => factsOfTexts({ env });
