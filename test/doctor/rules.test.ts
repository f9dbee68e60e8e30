import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Facts } from '../../src/doctor/facts.ts';
import { knownVariables } from '../../src/doctor/variables.ts';
import { readComposeView } from '../../src/effects/doctor/compose-view.ts';
import { packageFile } from '../../src/package-root.ts';
import { type Changes, changed } from '../../src/sandbox/instances/environments.ts';
import { codesOf, composeText, examine, healthyDomain, healthyEnv, healthyFacts, host, jwtSecret, now, token } from './instances.ts';

const claims = { role: 'anon', iss: 'supabase', iat: 1_790_000_000, exp: 1_900_000_000 };
const service = { ...claims, role: 'service_role' };
const key = (over: object, secret = jwtSecret, header?: object) => token({ ...claims, ...over }, secret, header);
const without = (name: string) => Object.fromEntries(Object.entries(claims).filter(([each]) => each !== name));
const oct = (secret: string) => ({ kty: 'oct', k: Buffer.from(secret).toString('base64url') });
const soon = Math.floor(now / 1000) + 86_400 * 10;

/** Codes that one change of a healthy environment brings. */
const environmentCases: [string, Changes][] = [
  ['KEYS_IDENTICAL', { ANON_KEY: key({}), SERVICE_ROLE_KEY: key({}) }],
  ['KEYS_SAME_BUT_IAT', { ANON_KEY: key({ iat: 1 }), SERVICE_ROLE_KEY: key({ iat: 2 }) }],
  ['KEY_UNREADABLE', { ANON_KEY: 'not-a-token' }],
  ['KEY_UNREADABLE', { SERVICE_ROLE_KEY: 'a.b.c' }],
  ['KEY_ROLES_SWAPPED', { ANON_KEY: key(service), SERVICE_ROLE_KEY: key({}) }],
  ['KEY_ROLE_MISSING', { ANON_KEY: token(without('role'), jwtSecret) }],
  ['KEY_ROLE_WRONG', { ANON_KEY: key({ role: 'authenticated' }) }],
  ['KEY_ISSUER', { ANON_KEY: key({ iss: 'dokploy' }) }],
  ['KEY_ISSUER', { ANON_KEY: token(without('iss'), jwtSecret) }],
  ['KEY_PUBLIC', { ANON_KEY: key({ iss: 'supabase-demo' }) }],
  ['KEY_UNSIGNED', { ANON_KEY: key({}, jwtSecret, { alg: 'none' }) }],
  ['KEY_ALGORITHM', { ANON_KEY: key({}, jwtSecret, { alg: 'ES256' }) }],
  ['KEY_SIGNATURE', { ANON_KEY: key({}, 'another secret of more than 32 characters') }],
  ['KEY_SIGNATURE', { JWT_SECRET: 'a-changed-secret-of-more-than-32-characters' }],
  ['KEY_EXPIRED', { ANON_KEY: key({ exp: Math.floor(now / 1000) }) }],
  ['KEY_EXPIRES_SOON', { ANON_KEY: key({ exp: soon }) }],
  ['KEY_NO_EXPIRY', { ANON_KEY: token(without('exp'), jwtSecret) }],
  ['JWT_KEYS_SHAPE', { JWT_KEYS: '{"keys":[]}' }],
  ['JWT_KEYS_SHAPE', { JWT_KEYS: 'nonsense' }],
  ['JWT_KEYS_SECRET', { JWT_KEYS: JSON.stringify([oct('old')]), JWT_JWKS: JSON.stringify({ keys: [oct(jwtSecret)] }) }],
  ['JWT_JWKS_SHAPE', { JWT_JWKS: JSON.stringify([oct(jwtSecret)]) }],
  ['JWT_JWKS_SECRET', { JWT_JWKS: JSON.stringify({ keys: [oct('old')] }) }],
  ['JWT_JWKS_MISSING', { JWT_KEYS: JSON.stringify([oct(jwtSecret)]) }],
  ['NEW_KEY_KIND', { SUPABASE_SECRET_KEY: 'sb_publishable_abc' }],
  ['SECRET_PUBLIC', { VAULT_ENC_KEY: 'your-encryption-key-32-chars-min' }],
  ['SECRET_PUBLIC', { PG_META_CRYPTO_KEY: 'SAMPLE_KEY' }],
  ['SECRET_STRAY_CHARACTERS', { JWT_SECRET: `${jwtSecret} x` }],
  ['SECRET_STRAY_CHARACTERS', { VAULT_ENC_KEY: "it's-a-key-of-32-characters-long" }],
  ['JWT_SECRET_SHORT', { JWT_SECRET: 'short' }],
  ['SECRET_KEY_BASE_SHORT', { SECRET_KEY_BASE: 'x'.repeat(63) }],
  ['VAULT_ENC_KEY_LENGTH', { VAULT_ENC_KEY: 'x'.repeat(33) }],
  ['PG_META_CRYPTO_KEY_SHORT', { PG_META_CRYPTO_KEY: 'x'.repeat(31) }],
  ['LOGFLARE_TOKEN_SHORT', { LOGFLARE_PUBLIC_ACCESS_TOKEN: 'x' }],
  ['LOGFLARE_TOKENS_SAME', { LOGFLARE_PUBLIC_ACCESS_TOKEN: 'x'.repeat(32), LOGFLARE_PRIVATE_ACCESS_TOKEN: 'x'.repeat(32) }],
  ['LOGFLARE_API_KEY_DEAD', { LOGFLARE_API_KEY: 'x'.repeat(32) }],
  ['DASHBOARD_PASSWORD_NUMBER', { DASHBOARD_PASSWORD: '123456789012' }],
  ['DASHBOARD_PASSWORD_CHARACTERS', { DASHBOARD_PASSWORD: 'abc:defghijklmn' }],
  ['DASHBOARD_PASSWORD_SHORT', { DASHBOARD_PASSWORD: 'abc' }],
  ['POSTGRES_PASSWORD_SHORT', { POSTGRES_PASSWORD: 'abc' }],
  ['PASSWORD_BREAKS_URL', { POSTGRES_PASSWORD: 'abcdefgh@ijklmnop/qrs' }],
  ['SECRET_REUSED', { POSTGRES_PASSWORD: jwtSecret }],
  ['URL_NOT_HTTPS', { SUPABASE_PUBLIC_URL: `http://${host}` }],
  ['URL_NOT_HTTPS', { SITE_URL: 'http://app.example.org' }],
  ['URL_NOT_HTTPS', { ADDITIONAL_REDIRECT_URLS: `https://${host}/*, http://app.example.org/**,http://localhost:3000` }],
  ['URL_SCHEMES_MIXED', { API_EXTERNAL_URL: `http://${host}` }],
  ['URL_ROUTE_SCHEME', { SUPABASE_PUBLIC_URL: `http://${host}` }],
  ['URL_UNREADABLE', { SUPABASE_PUBLIC_URL: 'shop.example.org' }],
  ['URL_LOCAL', { SUPABASE_PUBLIC_URL: 'http://localhost:8000' }],
  ['SITE_URL_LOCAL', { SITE_URL: 'http://localhost:3000' }],
  ['API_EXTERNAL_URL_SUFFIX', { API_EXTERNAL_URL: `https://${host}/auth/v1` }],
  ['URL_HOSTS_DIFFER', { API_EXTERNAL_URL: 'https://other.example.org' }],
  ['URL_NOT_ROUTED', { SUPABASE_PUBLIC_URL: 'https://other.example.org' }],
  ['DATABASE_PLACE', { POSTGRES_HOST: '127.0.0.1' }],
  ['DATABASE_PLACE', { POSTGRES_PORT: '127.0.0.1:5432' }],
  ['DATABASE_PLACE_DIFFERS', { POSTGRES_PORT: '5433' }],
  ['POOLER_TENANT_PLACEHOLDER', { POOLER_TENANT_ID: 'your-tenant-id' }],
  ['POOLER_SETTING_IGNORED', { POOLER_DEFAULT_POOL_SIZE: '10' }],
  ['POOLER_SETTING_INVALID', { POOLER_MAX_CLIENT_CONN: 'many' }],
  ['SMTP_PLACEHOLDER', { SMTP_USER: 'fake_mail_user' }],
  ['SMTP_PORT', { SMTP_PORT: 'smtp' }],
  ['SMTP_FREQUENCY', { GOTRUE_SMTP_MAX_FREQUENCY: '60' }],
  ['VARIABLE_MISSING', { SECRET_KEY_BASE: undefined }],
  ['VARIABLE_MISSING', { ANON_KEY: '' }],
  ['VARIABLE_UNSET', { JWT_EXPIRY: undefined }],
  ['VARIABLE_UNKNOWN', { SITEURL: 'https://app.example.org' }],
];

const withEnv = (changes: Changes): Facts => ({ ...healthyFacts(), env: changed(healthyEnv, changes) });
const withDomains = (...over: object[]): Facts => ({ ...healthyFacts(), domains: over.map((each) => ({ ...healthyDomain, ...each })) });
const withCompose = (find: string, put: string): Facts => {
  expect(composeText).toContain(find);
  return { ...healthyFacts(), compose: readComposeView(composeText.replace(find, put)) };
};
const live = (side: 'gateway' | 'upstream' | 'signature' | 'dns' | 'tls' | 'none'): Facts => ({
  ...healthyFacts(),
  live: [{ name: 'service-key-is-admin', ok: false, side, say: 'Refused.' }],
});
const certificate = (over: object): Facts => ({
  ...healthyFacts(),
  certificate: { state: 'valid', host, expiresAt: '2026-12-01T00:00:00.000Z', daysLeft: 9, ...over },
});

const bridge = (whose: NonNullable<Facts['bridges']>[number]['whose']): Facts => ({
  ...healthyFacts(),
  bridges: [{ service: 'capstan-bridge-abc', whose, why: 'its hour has passed' }],
});

const factCases: [string, Facts][] = [
  ['VARIABLE_TWICE', { ...healthyFacts(), env: `${healthyEnv}\nJWT_EXPIRY=60` }],
  ['LINES_UNREADABLE', { ...healthyFacts(), env: `${healthyEnv}\nthe rest of a value` }],
  ['ENVIRONMENT_EMPTY', { ...healthyFacts(), env: ' \n' }],
  ['ENVIRONMENT_UNREADABLE', { ...healthyFacts(), env: '\0\u0001\u0002binary' }],
  ['SECRET_STRAY_CHARACTERS', { ...healthyFacts(), env: `${healthyEnv.replace(/\n*$/, '')}\nJWT_SECRET=${jwtSecret}\r\r\n` }],
  ['COMPOSE_UNREADABLE', { ...healthyFacts(), compose: readComposeView('services: [') }],
  ['DOMAIN_MISSING', withDomains()],
  ['DOMAIN_PORT', withDomains({ port: 3000 })],
  ['DOMAIN_SERVICE', withDomains({ serviceName: 'studio' })],
  ['DOMAIN_SERVICE_UNKNOWN', withDomains({ serviceName: 'gone' })],
  ['DOMAIN_HTTP', withDomains({ https: false })],
  ['URL_ROUTE_SCHEME', withDomains({ https: false })],
  ['DOMAIN_WITHOUT_CERTIFICATE', withDomains({ certificateType: 'none' })],
  ['DOMAIN_DUPLICATE', withDomains({}, {})],
  ['POSTGRES_PASSWORD_CHANGED', { ...healthyFacts(), passwordRefusedBy: ['auth', 'rest'] }],
  ['POSTGRES_PASSWORD_CHANGED', { ...healthyFacts(), changedSince: ['POSTGRES_PASSWORD'] }],
  ['JWT_SECRET_STORED_DIFFERS', { ...healthyFacts(), jwtSecretInDatabase: false }],
  ['POOLER_TENANT_CHANGED', { ...healthyFacts(), changedSince: ['POOLER_TENANT_ID'] }],
  ['REALTIME_TENANT', { ...healthyFacts(), compose: readComposeView(composeText) }],
  ['REALTIME_ENC_KEY_PUBLIC', healthyFacts()],
  ['PORT_PUBLISHED', withCompose('expose:', 'ports:')],
  ['PORT_PUBLISHED', withCompose('image: supabase/postgres:17.6.1.136', 'image: x\n    ports: [{ published: 5432, target: 5432 }]')],
  ['CONTAINER_NAMES_FIXED', withCompose('image: kong/kong:3.9.1', 'image: kong/kong:3.9.1\n    container_name: supabase-kong')],
  ['BRIDGE_LEFT_OVER', bridge('left over')],
  ['BRIDGE_FOREIGN', bridge('foreign')],
  ['LIVE_GATEWAY', live('gateway')],
  ['LIVE_UPSTREAM', live('upstream')],
  ['LIVE_SIGNATURE', live('signature')],
  ['LIVE_DNS', live('dns')],
  ['LIVE_TLS', live('tls')],
  ['LIVE_CHECK', live('none')],
  ['CERTIFICATE_ENDS_SOON', certificate({})],
  ['CERTIFICATE_UNTRUSTED', certificate({ state: 'default', say: 'Traefik’s own.' })],
  ['CERTIFICATE_UNREACHABLE', certificate({ state: 'unreachable', say: 'Silence.' })],
  ['CONTAINER_NOT_READY', { ...healthyFacts(), containers: { state: 'known', waiting: [{ service: 'db', state: 'unhealthy' }] } }],
  ['UNKNOWN', { ...healthyFacts(), containers: { state: 'unknown', say: 'No list.' } }],
  ['UNKNOWN', { ...healthyFacts(), unknown: ['The logs could not be read.'] }],
  ['PLACEHOLDER', healthyFacts()],
];

/** Said of every current template, as information. */
const always = new Set(['REALTIME_ENC_KEY_PUBLIC', 'PLACEHOLDER']);

test('a healthy instance of the current template gives information only', () => {
  const { findings, generation, notLookedAt } = examine(healthyFacts());
  expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
  expect(new Set(findings.map(({ code }) => code))).toEqual(always);
  expect(generation.id).toBe('C');
  expect(notLookedAt).toEqual([]);
});

test.each(environmentCases)('%s is found by %o', (code, changes) => {
  expect(codesOf(withEnv(changes))).toContain(code);
});

test.each(factCases)('%s is found in the facts', (code, facts) => {
  expect(codesOf(facts)).toContain(code);
});

test('what is gone is not found: without the realtime service and the placeholders even the information is gone', () => {
  const facts = withEnv({ GOOGLE_PROJECT_ID: 'mine', GOOGLE_PROJECT_NUMBER: '1' });
  expect(examine({ ...facts, compose: null }).findings).toEqual([]);
});

test.each(['in use', 'another target'] as const)('a bridge that is %s is no finding', (whose) => {
  expect(codesOf(bridge(whose))).toEqual(codesOf({ ...healthyFacts(), bridges: null }));
});

test('every code that a rule can give has a case here', () => {
  const folder = packageFile('src', 'doctor', 'rules');
  const source = readdirSync(folder)
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
    .join('\n');
  const codes = [...source.matchAll(/'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)'/g)].map(([, code = '']) => code);
  const cased = new Set([...environmentCases, ...factCases].map(([code]) => code));
  const notCodes = new Set(['A', 'B', 'C', 'HOST', 'SELF_HOST_TENANT_NAME', 'DB_ENC_KEY', 'HS256']);
  const uncased = [...new Set(codes)].filter((code) => !cased.has(code) && !notCodes.has(code) && !knownVariables.has(code));
  expect(uncased).toEqual([]);
  expect(codes.length).toBeGreaterThan(50);
});

test.each([
  [
    'localhost in SITE_URL and redirects',
    { SITE_URL: 'http://localhost:3000', ADDITIONAL_REDIRECT_URLS: 'http://localhost:3000,http://127.0.0.1:5173' },
    'URL_NOT_HTTPS',
  ],
  ['an own scheme of an app', { ADDITIONAL_REDIRECT_URLS: 'com.shop.app://login' }, 'URL_UNREADABLE'],
  [
    'keys in their new form with the secret embedded',
    { JWT_KEYS: JSON.stringify([oct(jwtSecret)]), JWT_JWKS: JSON.stringify({ keys: [oct(jwtSecret)] }) },
    'JWT_JWKS_SECRET',
  ],
  ['a hyphen in the password', { POSTGRES_PASSWORD: 'abcdefgh-ijkl_mnop.qrs' }, 'PASSWORD_BREAKS_URL'],
  ['a key that ends in a year', { ANON_KEY: key({ exp: Math.floor(now / 1000) + 86_400 * 365 }) }, 'KEY_EXPIRES_SOON'],
  ['a bound duration', { GOTRUE_SMTP_MAX_FREQUENCY: '60s' }, 'SMTP_FREQUENCY'],
])('%s is right', (_what, changes, code) => {
  expect(codesOf(withEnv(changes))).not.toContain(code);
});

test.each(['127.0.0.1:5432:5432', '[::1]:8000:8000'])('the port %s is no open door', (port) => {
  expect(codesOf(withCompose('image: kong/kong:3.9.1', `image: x\n    ports: ["${port}"]`))).not.toContain('PORT_PUBLISHED');
});

test('of a comma list the very element is shown, without its query', () => {
  const facts = withEnv({ ADDITIONAL_REDIRECT_URLS: `https://${host}/*,http://app.example.org/cb?token=abc` });
  const found = examine(facts).findings.filter(({ code }) => code === 'URL_NOT_HTTPS');
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ at: 'ADDITIONAL_REDIRECT_URLS', current: 'http://app.example.org/cb?…' });
});

test('a compose file with Envoy wants /auth/v1 in API_EXTERNAL_URL, where the template is not Dokploy’s', () => {
  const env = changed(healthyEnv, { SUPABASE_HOST: undefined, PROXY_DOMAIN: host });
  const compose = readComposeView('services:\n  api-gw:\n    image: envoyproxy/envoy:v1.39.1\n');
  expect(codesOf({ ...healthyFacts(), env, compose })).toContain('API_EXTERNAL_URL_SUFFIX');
  const right = changed(env, { API_EXTERNAL_URL: `https://${host}/auth/v1` });
  expect(codesOf({ ...healthyFacts(), env: right, compose })).not.toContain('API_EXTERNAL_URL_SUFFIX');
});
