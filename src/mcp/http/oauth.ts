/**
 * The resource server's half of OAuth 2.1 (design §5, RFC 9728, RFC 9068). Invariants:
 * 1. An access token counts only with the signature of the issuer's key, its issuer, our address as audience, and a time that has not passed.
 * 2. Which algorithms count is said here, never by the token.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { roles } from '../connection.ts';
import type { AccessClaims } from './authentication.ts';

const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const lookUpMs = 10_000;
const metadataShape = z.looseObject({ issuer: z.string(), jwks_uri: z.url() });

export type ResourceServer = {
  /** Our public address, such as https://capstan.example.com/mcp: what tokens must be made for. */
  resource: string;
  issuer: string;
};

/** The document that tells a client where to get a token (RFC 9728). */
export function resourceMetadata({ resource, issuer }: ResourceServer): Record<string, unknown> {
  return {
    resource,
    authorization_servers: [issuer],
    scopes_supported: roles.map((role) => `capstan:${role}`),
    bearer_methods_supported: ['header'],
    resource_name: 'Capstan',
  };
}

/** Where that document stands: the well-known part goes before the path. */
export function metadataUrl(resource: string): string {
  const url = new URL(resource);
  return `${url.origin}/.well-known/oauth-protected-resource${url.pathname === '/' ? '' : url.pathname}`;
}

/** Asks the issuer for its keys once, at the start. Throws ISSUER_UNUSABLE. */
export async function createAccessVerifier(
  { resource, issuer }: ResourceServer,
  ask: typeof fetch = fetch,
): Promise<(token: string) => Promise<AccessClaims | undefined>> {
  const { createRemoteJWKSet, jwtVerify, errors } = await import('jose');
  const keys = createRemoteJWKSet(new URL(await keysOf(issuer, ask)), { timeoutDuration: lookUpMs });
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience: resource, algorithms, requiredClaims: ['exp', 'sub'] });
      const said = payload['scope'] ?? payload['scp'];
      const scopes = Array.isArray(said) ? said.map(String) : String(said ?? '').split(' ');
      return { subject: payload.sub ?? '', scopes };
    } catch (error) {
      if (error instanceof errors.JWKSTimeout || (error instanceof Error && !(error instanceof errors.JOSEError)))
        throw unusable(issuer, error);
      return undefined;
    }
  };
}

/** Both well-known documents, since not every server has the newer one; the issuer in it must be the one asked. */
async function keysOf(issuer: string, ask: typeof fetch): Promise<string> {
  const base = new URL(issuer);
  const path = base.pathname === '/' ? '' : base.pathname.replace(/\/$/, '');
  const places = [`${base.origin}/.well-known/oauth-authorization-server${path}`, `${base.origin}${path}/.well-known/openid-configuration`];
  let cause: unknown;
  for (const place of places) {
    try {
      const answer = await ask(place, { signal: AbortSignal.timeout(lookUpMs), redirect: 'error' });
      if (!answer.ok) continue;
      const said = metadataShape.safeParse(await answer.json());
      if (said.success && said.data.issuer === issuer) return said.data.jwks_uri;
    } catch (error) {
      cause = error;
    }
  }
  throw unusable(issuer, cause);
}

function unusable(issuer: string, cause: unknown): AppError {
  return new AppError('ISSUER_UNUSABLE', {
    message: `The authorization server ${issuer} does not say who it is and where its keys are.`,
    fix: 'Give the issuer exactly as its own metadata names it, and check that this machine reaches it.',
    retry: 'later',
    cause,
  });
}
