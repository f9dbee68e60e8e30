/**
 * The two API keys of a self-hosted Supabase: HS256 tokens with the claims that the gateway and PostgREST expect.
 * Claims and lifetime: role, iss `supabase`, iat, exp = iat + 5 years; signed with the UTF-8 bytes of JWT_SECRET.
 */
import { AppError } from '../../errors.ts';

export type ApiRole = 'anon' | 'service_role';
export type ApiKeys = { anonKey: string; serviceRoleKey: string; issuedAt: number; expiresAt: number };

/** About five years, in seconds. */
export const keyLifetimeSeconds = 157_680_000;

/** Makes both keys; `now` in ms since the epoch, `issuedAt` and `expiresAt` in seconds. Throws KEY_SECRET_SHORT under 32 characters. */
export async function makeApiKeys(jwtSecret: string, now: number): Promise<ApiKeys> {
  if (jwtSecret.length < 32) {
    throw new AppError('KEY_SECRET_SHORT', {
      message: 'The JWT secret has fewer than 32 characters, which PostgREST refuses.',
      fix: 'Use a longer secret.',
    });
  }
  const issuedAt = Math.floor(now / 1000);
  const expiresAt = issuedAt + keyLifetimeSeconds;
  const sign = await signer(jwtSecret, issuedAt, expiresAt);
  return { anonKey: await sign('anon'), serviceRoleKey: await sign('service_role'), issuedAt, expiresAt };
}

/** Why a key is wrong, as one word each; an empty list means it is right. */
export type KeyFault = 'unreadable' | 'signature' | 'role' | 'issuer' | 'expired' | 'no-expiry';

/** Checks one key against its secret and role; `now` in ms. */
export async function checkApiKey(token: string, jwtSecret: string, role: ApiRole, now: number): Promise<KeyFault[]> {
  const { decodeJwt, jwtVerify } = await import('jose');
  let claims: Record<string, unknown>;
  try {
    claims = decodeJwt(token);
  } catch {
    return ['unreadable'];
  }
  const faults: KeyFault[] = [];
  try {
    // The date is checked below, so that an expired key is told apart from a forged one.
    await jwtVerify(token, new TextEncoder().encode(jwtSecret), { algorithms: ['HS256'], currentDate: new Date(0) });
  } catch {
    faults.push('signature');
  }
  if (claims.role !== role) faults.push('role');
  if (claims.iss !== 'supabase') faults.push('issuer');
  if (typeof claims.exp !== 'number') faults.push('no-expiry');
  else if (claims.exp * 1000 <= now) faults.push('expired');
  return faults;
}

/** Both keys right and different. Throws KEYS_WRONG, naming the faults and never the keys. */
export async function assertApiKeys(keys: Pick<ApiKeys, 'anonKey' | 'serviceRoleKey'>, jwtSecret: string, now: number): Promise<void> {
  const anon = await checkApiKey(keys.anonKey, jwtSecret, 'anon', now);
  const service = await checkApiKey(keys.serviceRoleKey, jwtSecret, 'service_role', now);
  const same = keys.anonKey === keys.serviceRoleKey;
  if (anon.length === 0 && service.length === 0 && !same) return;
  throw new AppError('KEYS_WRONG', {
    message: 'The API keys did not pass their check.',
    fix: 'Generate them again; if it happens twice, report it with the details.',
    details: { anon, service, same },
  });
}

async function signer(jwtSecret: string, issuedAt: number, expiresAt: number): Promise<(role: ApiRole) => Promise<string>> {
  const { SignJWT } = await import('jose');
  const secret = new TextEncoder().encode(jwtSecret);
  return (role) =>
    new SignJWT({ role })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer('supabase')
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .sign(secret);
}
