import { decodeJwt, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { assertApiKeys, checkApiKey, keyLifetimeSeconds, makeApiKeys } from '../../src/effects/supabase/keys.ts';
import { generateSecrets, generateTenantId } from '../../src/effects/supabase/secrets.ts';

const secret = 's'.repeat(40);
const now = Date.UTC(2026, 10, 22);
const sign = (claims: Record<string, unknown>, key = secret) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(new TextEncoder().encode(key));
const good = { role: 'anon', iss: 'supabase', iat: now / 1000, exp: now / 1000 + 1000 };

describe('api keys', () => {
  it('carry role, issuer, issue time and five years of life', async () => {
    const keys = await makeApiKeys(secret, now);
    expect(decodeJwt(keys.anonKey)).toEqual({ role: 'anon', iss: 'supabase', iat: now / 1000, exp: now / 1000 + keyLifetimeSeconds });
    expect(decodeJwt(keys.serviceRoleKey)).toMatchObject({ role: 'service_role' });
    expect(keys.expiresAt - keys.issuedAt).toBe(157_680_000);
    await expect(assertApiKeys(keys, secret, now)).resolves.toBeUndefined();
  });

  it('are refused for a short secret', async () => {
    await expect(makeApiKeys('short', now)).rejects.toMatchObject({ code: 'KEY_SECRET_SHORT' });
  });

  it.each<[string, () => Promise<string>, string[]]>([
    ['a good key', () => sign(good), []],
    ['no token at all', async () => 'nonsense', ['unreadable']],
    ['another secret', () => sign(good, 'x'.repeat(40)), ['signature']],
    ['the other role', () => sign({ ...good, role: 'service_role' }), ['role']],
    [
      'no role and the wrong issuer, as Dokploy once made them',
      () => sign({ iat: good.iat, exp: good.exp, iss: 'dokploy' }),
      ['role', 'issuer'],
    ],
    ['an expired key', () => sign({ ...good, exp: now / 1000 - 1 }), ['expired']],
    ['a key without expiry', () => sign({ role: 'anon', iss: 'supabase' }), ['no-expiry']],
  ])('%s is told by its faults', async (_, make, faults) => {
    expect(await checkApiKey(await make(), secret, 'anon', now)).toEqual(faults);
  });

  it('are refused when both are the same, without naming them', async () => {
    const key = await sign(good);
    const failure = await assertApiKeys({ anonKey: key, serviceRoleKey: key }, secret, now).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'KEYS_WRONG', details: { same: true, service: ['role'] } });
    expect(JSON.stringify(failure)).not.toContain(key);
  });
});

describe('generated secrets', () => {
  it.each([
    ['POSTGRES_PASSWORD', /^[a-z0-9]{32}$/],
    ['DASHBOARD_PASSWORD', /^[a-z][a-z0-9]{31}$/],
    ['VAULT_ENC_KEY', /^[a-z0-9]{32}$/],
    ['SECRET_KEY_BASE', /^[a-z0-9]{64}$/],
    ['JWT_SECRET', /^[A-Za-z0-9]{40}$/],
    ['PG_META_CRYPTO_KEY', /^[a-z0-9]{32}$/],
    ['LOGFLARE_PUBLIC_ACCESS_TOKEN', /^[a-z0-9]{32}$/],
    ['LOGFLARE_PRIVATE_ACCESS_TOKEN', /^[a-z0-9]{32}$/],
    ['S3_PROTOCOL_ACCESS_KEY_ID', /^[0-9a-f]{32}$/],
    ['S3_PROTOCOL_ACCESS_KEY_SECRET', /^[0-9a-f]{64}$/],
  ] as const)('%s has the form that its reader demands', (name, form) => {
    for (let i = 0; i < 50; i++) expect(generateSecrets()[name]).toMatch(form);
  });

  it('are never the same twice', () => {
    const all = Array.from({ length: 200 }, () => Object.values(generateSecrets())).flat();
    expect(new Set(all).size).toBe(all.length);
    expect(generateTenantId()).not.toBe(generateTenantId());
  });
});
