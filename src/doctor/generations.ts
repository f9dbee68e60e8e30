/** Tells the generations of Dokploy's Supabase template apart (facts: requirements §6.1). Pure. */
import { demoIssuer, isPublicSecret } from './public-secrets.ts';
import { readToken, textClaim } from './tokens.ts';

export type GenerationId = 'A' | 'B' | 'C' | 'upstream' | 'unknown';
export type Generation = { id: GenerationId; name: string /** The mark it was told by. */; because: string };

const names: Record<GenerationId, string> = {
  A: 'Dokploy template A: the public demo keys of before Dokploy 0.22.5',
  B: 'Dokploy template B: the keys without a role of May to October 2025',
  C: 'Dokploy template C: right keys, since October 2025',
  upstream: 'Supabase’s own docker compose, not Dokploy’s template',
  unknown: 'not one of the known generations',
};

type Marks = { id: GenerationId; because: string; test: (env: ReadonlyMap<string, string>) => boolean };

/** The keys say most; where they were replaced since, the variables of the template do. First match wins. */
const marks: Marks[] = [
  { id: 'B', because: 'a key has the issuer dokploy and no role', test: (env) => keysOf(env).some((key) => issuerOf(key) === 'dokploy') },
  { id: 'A', because: 'JWT_SECRET is the public demo secret', test: (env) => isPublicSecret('JWT_SECRET', env.get('JWT_SECRET') ?? '') },
  { id: 'A', because: 'a key has the issuer supabase-demo', test: (env) => keysOf(env).some((key) => issuerOf(key) === demoIssuer) },
  {
    id: 'upstream',
    because: 'it has variables that only Supabase’s own compose has',
    test: (env) => ['PROXY_DOMAIN', 'API_GW_HTTP_PORT', 'CERTBOT_EMAIL'].some((name) => env.has(name)),
  },
  {
    id: 'C',
    because: 'it has PG_META_CRYPTO_KEY and separate Logflare tokens',
    test: (env) => env.has('SUPABASE_HOST') && env.has('PG_META_CRYPTO_KEY') && env.has('LOGFLARE_PRIVATE_ACCESS_TOKEN'),
  },
  {
    id: 'C',
    because: 'its keys carry role, issuer supabase and end in 2030',
    test: (env) => keysOf(env).length === 2 && keysOf(env).every((key) => issuerOf(key) === 'supabase' && expiryOf(key) === 1_893_456_000),
  },
  {
    id: 'A',
    because: 'VAULT_ENC_KEY is the public one of that template; the keys were replaced since',
    test: (env) => isPublicSecret('VAULT_ENC_KEY', env.get('VAULT_ENC_KEY') ?? ''),
  },
  {
    id: 'B',
    because: 'it has the variables of that template; the keys were replaced since',
    test: (env) => env.has('LOGFLARE_API_KEY') && env.has('CONTAINER_PREFIX'),
  },
  {
    id: 'upstream',
    because: 'it has the variables of Supabase’s compose and none of Dokploy’s template',
    test: (env) => env.has('JWT_SECRET') && env.has('PG_META_CRYPTO_KEY') && !env.has('SUPABASE_HOST'),
  },
];

/** The generation of an environment, with the mark it was told by. */
export function generationOf(env: ReadonlyMap<string, string>): Generation {
  const mark = marks.find(({ test }) => test(env));
  const id = mark?.id ?? 'unknown';
  return { id, name: names[id], because: mark?.because ?? 'no mark of a known template was found' };
}

function keysOf(env: ReadonlyMap<string, string>) {
  return ['ANON_KEY', 'SERVICE_ROLE_KEY'].flatMap((name) => readToken(env.get(name) ?? '') ?? []);
}

const issuerOf = (key: ReturnType<typeof keysOf>[number]) => textClaim(key, 'iss');
const expiryOf = (key: ReturnType<typeof keysOf>[number]) => key.claims['exp'];

export type Shape = {
  id: GenerationId;
  name: string;
  because: string;
  gateway: 'kong' | 'envoy' | 'unknown';
  apiUrlHasSuffix: boolean;
  analytics: boolean;
  metaRole: string;
  newKeys: boolean;
};

/** The marks by which instances of different years differ (facts: Supabase §1.1), as an environment shows them. */
export function shapeOf(env: ReadonlyMap<string, string>): Shape {
  const has = (variable: string) => (env.get(variable) ?? '') !== '';
  return {
    ...generationOf(env),
    gateway: has('API_GW_HTTP_PORT') ? 'envoy' : has('KONG_HTTP_PORT') ? 'kong' : 'unknown',
    apiUrlHasSuffix: /\/auth\/v1\/?$/.test(env.get('API_EXTERNAL_URL') ?? ''),
    analytics: has('LOGFLARE_PRIVATE_ACCESS_TOKEN') || has('LOGFLARE_API_KEY'),
    metaRole: env.get('PG_META_DB_USER') ?? 'unknown',
    newKeys: has('SUPABASE_SECRET_KEY') || has('JWT_JWKS'),
  };
}
