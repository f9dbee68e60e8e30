/**
 * From an Authorization header to a connection (design §5). Invariants:
 * 1. Without a way to authenticate only the owner of the installation is there, on a loopback address.
 * 2. What is refused is refused alike: no answer tells an unknown token from a revoked, an expired or a foreign one.
 * 3. The token itself goes no further than here.
 */
import { z } from 'zod';
import { type Connection, type Limits, limited, roles } from '../connection.ts';
import { isSecretOf, splitToken } from './bearer.ts';

/** A kept token, as the store has it. */
export type KeptToken = {
  name: string;
  hash: string;
  role: string;
  targets: readonly string[] | null;
  expiresAt: number | null;
  revokedAt: number | null;
};

/** What an access token of the authorization server says, after its signature, issuer, audience and time were checked. */
export type AccessClaims = { subject: string; scopes: readonly string[] };

export type Authentication = {
  /** Undefined: not let in. */
  connect(authorization: string | undefined): Promise<Connection | undefined>;
  /** Whether nobody is let in without a token. */
  required(): Promise<boolean>;
};

export type AuthenticationDeps = {
  find(id: string): Promise<KeptToken | undefined>;
  /** True when any token is in force. */
  anyToken(): Promise<boolean>;
  /** Undefined for a token that is not one of the authorization server's for us. */
  verifyAccess?: (token: string) => Promise<AccessClaims | undefined>;
  /** Tokens are asked for even where there are none: the address is not a loopback one. */
  exposed: boolean;
  /** The limits of this server (`--targets`, `--read-only`, `--deny-destructive`). */
  limits: Limits;
  now(): number;
};

const door = 'mcp-http';
const roleSchema = z.enum(roles);

export function createAuthentication(deps: AuthenticationDeps): Authentication {
  const { verifyAccess, exposed, limits } = deps;
  const required = async () => exposed || verifyAccess !== undefined || (await deps.anyToken());
  return {
    required,
    async connect(authorization) {
      if (authorization === undefined) {
        return (await required()) ? undefined : limited({ caller: { principal: 'local', door }, role: 'approver' }, limits);
      }
      const [, token] = /^Bearer ([^\s]{1,16384})$/i.exec(authorization) ?? [];
      if (token === undefined) return undefined;
      const connection = (await fromKept(deps, token)) ?? (await fromAccess(deps, token));
      return connection && limited(connection, limits);
    },
  };
}

async function fromKept({ find, now }: AuthenticationDeps, token: string): Promise<Connection | undefined> {
  const parts = splitToken(token);
  if (!parts) return undefined;
  const kept = await find(parts.id);
  if (!isSecretOf(parts.secret, kept?.hash) || !kept) return undefined;
  if (kept.revokedAt !== null || (kept.expiresAt !== null && kept.expiresAt <= now())) return undefined;
  return {
    caller: { principal: `token:${kept.name}`, door },
    role: roleSchema.parse(kept.role),
    ...(kept.targets === null ? {} : { targets: kept.targets }),
  };
}

/** `capstan:<role>` says what it may do, the highest counts; `capstan:target:<name>` each says where. Without a role nothing. */
async function fromAccess({ verifyAccess }: AuthenticationDeps, token: string): Promise<Connection | undefined> {
  const claims = await verifyAccess?.(token);
  if (!claims) return undefined;
  const role = [...roles].reverse().find((each) => claims.scopes.includes(`capstan:${each}`));
  if (role === undefined) return undefined;
  const targets = claims.scopes.flatMap((scope) => (scope.startsWith('capstan:target:') ? [scope.slice('capstan:target:'.length)] : []));
  return { caller: { principal: `oauth:${claims.subject}`, door }, role, ...(targets.length === 0 ? {} : { targets }) };
}
