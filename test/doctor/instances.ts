/** Environments and facts of whole instances: one per generation of the template, and a healthy one to break in one place. */
import { readFileSync } from 'node:fs';
import { diagnose } from '../../src/doctor/diagnose.ts';
import type { Facts } from '../../src/doctor/facts.ts';
import { factsOfTexts, hmacSha256 } from '../../src/effects/doctor/texts.ts';
import { realtimeHostOf } from '../../src/effects/supabase/compose-facts.ts';
import { makeApiKeys } from '../../src/effects/supabase/keys.ts';
import { generateSecrets } from '../../src/effects/supabase/secrets.ts';
import { packageFile } from '../../src/package-root.ts';
import { changed, signToken } from '../../src/sandbox/instances/environments.ts';
import { expandTemplate } from '../../src/sandbox/template-expand.ts';

/** 2026-11-22, in ms. */
export const now = Date.UTC(2026, 10, 22);
export const host = 'shop.example.org';
const blueprint = (name: string) => readFileSync(packageFile('src', 'sandbox', 'blueprint', name), 'utf8');
export const composeText = blueprint('docker-compose.yml');

export const token = signToken;

/** The current template, expanded by the real helper functions. */
export function generationC(): string {
  return expandTemplate(blueprint('template.toml'), 'shop', '192.0.2.7').envs.join('\n');
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
