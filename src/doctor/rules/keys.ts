/** The two API keys: form, claims, signature, lifetime. */
import { docs, type Finding, type Severity } from '../findings.ts';
import { atVariable, type Look, type Rule, thenDeploy } from '../look.ts';
import { demoIssuer } from '../public-secrets.ts';
import { claimsWithoutTime, type Token, textClaim } from '../tokens.ts';

type Key = { name: 'ANON_KEY' | 'SERVICE_ROLE_KEY'; role: string; value: string; token: Token | undefined };

const renewed = `Make both keys anew with the JWT_SECRET that stands (HS256, role anon and service_role, iss supabase) and set ANON_KEY and SERVICE_ROLE_KEY ${thenDeploy}; sessions of users go on.`;
const soonMs = 30 * 86_400_000;

export const keyRules: readonly Rule[] = [identical, unreadable, roles, issuers, algorithms, signatures, lifetimes];

function keysOf({ env, anon, service }: Look): Key[] {
  const keys: Key[] = [
    { name: 'ANON_KEY', role: 'anon', value: env.get('ANON_KEY') ?? '', token: anon },
    { name: 'SERVICE_ROLE_KEY', role: 'service_role', value: env.get('SERVICE_ROLE_KEY') ?? '', token: service },
  ];
  return keys.filter(({ value }) => value !== '');
}

/** Keys that can be read, each with its token. */
function tokensOf(look: Look): (Key & { token: Token })[] {
  return keysOf(look).flatMap((key) => (key.token ? [{ ...key, token: key.token }] : []));
}

function say(look: Look, { name }: Key, code: string, severity: Severity, sentence: string, expected: string, shown?: string): Finding {
  return atVariable(look, name, { code, severity, say: sentence, expected, fix: renewed, docs: docs.keys }, shown);
}

function identical(look: Look): Finding[] {
  const [anon, service] = keysOf(look);
  if (!anon || !service) return [];
  const expected = 'Two keys: ANON_KEY with role anon, SERVICE_ROLE_KEY with role service_role';
  if (anon.value === service.value)
    return [
      say(
        look,
        service,
        'KEYS_IDENTICAL',
        'critical',
        'ANON_KEY and SERVICE_ROLE_KEY are the same: whoever visits the page holds both.',
        expected,
      ),
    ];
  if (!anon.token || !service.token || claimsWithoutTime(anon.token) !== claimsWithoutTime(service.token)) return [];
  return [
    say(
      look,
      service,
      'KEYS_SAME_BUT_IAT',
      'critical',
      'ANON_KEY and SERVICE_ROLE_KEY say the same; only their time of issue differs.',
      expected,
    ),
  ];
}

function unreadable(look: Look): Finding[] {
  return keysOf(look)
    .filter(({ token }) => !token)
    .map((key) => say(look, key, 'KEY_UNREADABLE', 'critical', `${key.name} is no JSON Web Token.`, `A token with role ${key.role}`));
}

function roles(look: Look): Finding[] {
  const [anon, service] = tokensOf(look);
  const roleOf = (key?: { token: Token }) => (key ? textClaim(key.token, 'role') : undefined);
  if (anon && service && roleOf(anon) === 'service_role' && roleOf(service) === 'anon')
    return [
      say(
        look,
        anon,
        'KEY_ROLES_SWAPPED',
        'critical',
        'The two keys are swapped: ANON_KEY carries the role service_role, which is above every policy.',
        'role anon',
        'role service_role',
      ),
    ];
  return tokensOf(look).flatMap((key) => {
    const role = textClaim(key.token, 'role');
    const expected = `role ${key.role}`;
    if (role === undefined)
      return [say(look, key, 'KEY_ROLE_MISSING', 'critical', `${key.name} carries no role, so nothing accepts it.`, expected, 'no role')];
    if (role === key.role) return [];
    const known = ['anon', 'service_role', 'authenticated'].includes(role) ? `role ${role}` : 'another role';
    return [say(look, key, 'KEY_ROLE_WRONG', 'critical', `${key.name} carries the wrong role.`, expected, known)];
  });
}

function issuers(look: Look): Finding[] {
  return tokensOf(look).flatMap((key) => {
    const issuer = textClaim(key.token, 'iss');
    if (issuer === 'supabase') return [];
    if (issuer === demoIssuer)
      return [
        say(
          look,
          key,
          'KEY_PUBLIC',
          'critical',
          `${key.name} is the sample key of Supabase’s documentation: everybody knows it.`,
          'A key of your own',
          'iss supabase-demo',
        ),
      ];
    if (issuer === 'dokploy')
      return [
        say(
          look,
          key,
          'KEY_ISSUER',
          'error',
          `${key.name} was made by Dokploy after it had dropped the template’s claims.`,
          'iss supabase',
          'iss dokploy',
        ),
      ];
    return [
      say(
        look,
        key,
        'KEY_ISSUER',
        'warning',
        `${key.name} does not have the issuer supabase.`,
        'iss supabase',
        issuer === undefined ? 'no issuer' : 'another issuer',
      ),
    ];
  });
}

function algorithms(look: Look): Finding[] {
  return tokensOf(look).flatMap((key) => {
    const { algorithm, signature } = key.token;
    if (signature === '' || algorithm?.toLowerCase() === 'none')
      return [say(look, key, 'KEY_UNSIGNED', 'critical', `${key.name} is not signed.`, 'Signed with JWT_SECRET by HS256', 'no signature')];
    if (algorithm === 'HS256') return [];
    return [
      say(
        look,
        key,
        'KEY_ALGORITHM',
        'error',
        `${key.name} is not signed by HS256, which the services behind check.`,
        'HS256',
        'another algorithm',
      ),
    ];
  });
}

function signatures(look: Look): Finding[] {
  const secret = look.env.get('JWT_SECRET') ?? '';
  if (secret === '') return [];
  return tokensOf(look)
    .filter(({ token }) => token.algorithm === 'HS256' && token.signature !== '' && look.hmac(secret, token.signed) !== token.signature)
    .map((key) =>
      say(
        look,
        key,
        'KEY_SIGNATURE',
        'critical',
        `${key.name} was not made with JWT_SECRET: the gateway may let it in, the services behind refuse it.`,
        'Signed with the JWT_SECRET of this environment',
      ),
    );
}

function lifetimes(look: Look): Finding[] {
  return tokensOf(look).flatMap((key) => {
    const expiry = key.token.claims['exp'];
    if (typeof expiry !== 'number' || !Number.isFinite(expiry))
      return [say(look, key, 'KEY_NO_EXPIRY', 'warning', `${key.name} never expires.`, 'An end some years ahead (exp)', 'no exp')];
    const left = expiry * 1000 - look.now;
    const day = shownDay(expiry * 1000);
    if (left <= 0) return [say(look, key, 'KEY_EXPIRED', 'critical', `${key.name} has expired.`, 'An end in the future (exp)', day)];
    if (left > soonMs) return [];
    return [say(look, key, 'KEY_EXPIRES_SOON', 'warning', `${key.name} expires within 30 days.`, 'An end some years ahead (exp)', day)];
  });
}

function shownDay(ms: number): string {
  return Math.abs(ms) < 8.64e15 ? `until ${new Date(ms).toISOString().slice(0, 10)}` : 'an impossible date';
}
