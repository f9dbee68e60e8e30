import { expect, test } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.ts';
import { hmacSha256 } from '../../src/effects/doctor/texts.ts';
import { changed, generationA, generationB } from '../../src/sandbox/instances/environments.ts';
import { healthyDomain, healthyEnv, healthyFacts, now, ofEnv } from './instances.ts';

const fixesOf = (env: string, target?: string) =>
  diagnose(ofEnv(env), { now, hmac: hmacSha256, ...(target === undefined ? {} : { target }) }).findings.map(({ code, at, fix }) => ({
    code,
    at,
    fix,
  }));

test.each([
  ['A', generationA(), ['KEY_PUBLIC', 'SECRET_PUBLIC']],
  ['B', generationB(), ['KEYS_IDENTICAL', 'KEY_ROLE_MISSING', 'KEY_ISSUER']],
  ['stale key sets', changed(healthyEnv, { JWT_KEYS: '[{"kty":"oct","k":"x"}]' }), ['JWT_KEYS_SECRET']],
])('of a target, wrong keys of %s are mended by repair-keys; of a file nobody’s command is named', (_what, env, codes) => {
  const named = fixesOf(env, 'shop').filter(
    ({ code, at }) => codes.includes(code) && /JWT_SECRET|KEY/.test(at) && !/BASE|ENC|CRYPTO|LOGFLARE/.test(at),
  );
  expect(named.length).toBeGreaterThan(0);
  expect(named.every(({ fix }) => fix.startsWith('Run: capstan run repair-keys --set target=shop. By hand: '))).toBe(true);
  expect(fixesOf(env).some(({ fix }) => fix.includes('capstan run'))).toBe(false);
});

test('http addresses of a target are turned by update-env; what has no workflow keeps its step by hand', () => {
  const env = changed(healthyEnv, { SUPABASE_PUBLIC_URL: 'http://shop.example.org', VAULT_ENC_KEY: 'short' });
  const fixes = fixesOf(env, 'shop');
  expect(fixes.find(({ code }) => code === 'URL_NOT_HTTPS')?.fix).toMatch(
    /^Run: capstan run update-env --set target=shop --set https=true\. By hand: /,
  );
  expect(fixes.find(({ code }) => code === 'VAULT_ENC_KEY_LENGTH')?.fix).not.toContain('capstan run');
});

const commandsOf = (facts: ReturnType<typeof healthyFacts>) =>
  diagnose(facts, { now, hmac: hmacSha256, target: 'shop' }).findings.flatMap(({ code, fix }) => {
    const command = /^Run: capstan run (.*)\. By hand: /.exec(fix)?.[1];
    return command === undefined ? [] : [`${code}: ${command}`];
  });
const domain = { ...healthyDomain, host: 'shop.example.org' };

test.each([
  [
    'a route without https',
    { https: false },
    'DOMAIN_HTTP: manage-domain --set target=shop --set action=change --set host=shop.example.org --set certificate=letsencrypt',
  ],
  [
    'https without a certificate',
    { certificateType: 'none' },
    'DOMAIN_WITHOUT_CERTIFICATE: manage-domain --set target=shop --set action=change --set host=shop.example.org --set certificate=letsencrypt',
  ],
  [
    'the wrong port',
    { port: 3000 },
    'DOMAIN_PORT: manage-domain --set target=shop --set action=change --set host=shop.example.org --set toGateway=true',
  ],
  [
    'the wrong service',
    { serviceName: 'studio' },
    'DOMAIN_SERVICE: manage-domain --set target=shop --set action=change --set host=shop.example.org --set toGateway=true',
  ],
  [
    'a service that is gone',
    { serviceName: 'gone' },
    'DOMAIN_SERVICE_UNKNOWN: manage-domain --set target=shop --set action=change --set host=shop.example.org --set toGateway=true',
  ],
])('%s is mended by manage-domain', (_what, over, command) => {
  expect(commandsOf({ ...healthyFacts(), domains: [{ ...domain, ...over }] })).toContain(command);
});

test('a missing domain is added by manage-domain; a host that is no name leads to no command', () => {
  const missing = commandsOf({ ...healthyFacts(), domains: [] });
  expect(missing).toEqual([
    expect.stringMatching(/^DOMAIN_MISSING: manage-domain --set target=shop --set action=add --set host=[a-z0-9.-]+$/),
  ]);
  expect(commandsOf({ ...healthyFacts(), domains: [{ ...domain, host: '$(reboot)', https: false }] }).join()).not.toContain('reboot');
});

test.each([
  ['changed in the environment alone', { ...healthyFacts(), passwordRefusedBy: ['auth'] }, 'POSTGRES_PASSWORD_CHANGED'],
  ['that breaks URLs', ofEnv(changed(healthyEnv, { POSTGRES_PASSWORD: 'abcdefgh@ijklmnop/qrs' })), 'PASSWORD_BREAKS_URL'],
  ['that is short', ofEnv(changed(healthyEnv, { POSTGRES_PASSWORD: 'abc' })), 'POSTGRES_PASSWORD_SHORT'],
])('a database password %s is replaced by rotate-secrets', (_what, facts, code) => {
  expect(commandsOf(facts)).toContain(`${code}: rotate-secrets --set target=shop --set secret=database-password`);
});

test.each([
  ['VAULT_ENC_KEY', 'your-encryption-key-32-chars-min', 'vault-key'],
  ['PG_META_CRYPTO_KEY', 'SAMPLE_KEY', 'meta-key'],
])('a public %s is replaced by rotate-secrets', (name, value, secret) => {
  expect(commandsOf(ofEnv(changed(healthyEnv, { [name]: value })))).toContain(
    `SECRET_PUBLIC: rotate-secrets --set target=shop --set secret=${secret}`,
  );
});

test('a size that the pooler ignores leads to resize-pool with that size, an invalid one with the template’s', () => {
  const fixes = fixesOf(changed(healthyEnv, { POOLER_DEFAULT_POOL_SIZE: '40', POOLER_MAX_CLIENT_CONN: 'many' }), 'shop');
  expect(fixes.filter(({ code }) => code.startsWith('POOLER_SETTING_')).map(({ fix }) => fix.split('. By hand')[0])).toEqual([
    'Run: capstan run resize-pool --set target=shop --set maxClients=100',
    'Run: capstan run resize-pool --set target=shop --set poolSize=40',
  ]);
});

test('a key that the gateway or the signature refuses leads to repair-keys, a silent service does not', () => {
  const live = (name: string, side: 'gateway' | 'upstream') => ({ ...healthyFacts(), live: [{ name, ok: false, side, say: 'Refused.' }] });
  const fixOf = (facts: ReturnType<typeof healthyFacts>) => diagnose(facts, { now, hmac: hmacSha256, target: 'shop' }).findings[0]?.fix;
  expect(fixOf(live('anon-key-reads-settings', 'gateway'))).toContain('capstan run repair-keys');
  expect(fixOf(live('service-key-is-admin', 'upstream'))).not.toContain('capstan run');
});
