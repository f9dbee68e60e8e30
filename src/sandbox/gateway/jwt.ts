import { errors, jwtVerify } from 'jose';

export type Verdict = { ok: true; claims: Record<string, unknown> } | { ok: false; reason: 'signature' | 'expired' | 'malformed' };

/** Checks a token as the services do: HS256 over the UTF-8 bytes of the secret, and its times. */
export async function verifyToken(token: string, secret: string): Promise<Verdict> {
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), { algorithms: ['HS256'] });
    return { ok: true, claims: payload };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { ok: false, reason: 'expired' };
    return { ok: false, reason: error instanceof errors.JWSSignatureVerificationFailed ? 'signature' : 'malformed' };
  }
}

/** The token of an Authorization header. */
export const bearerOf = (headers: Headers): string | undefined => /^Bearer\s+(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1];
