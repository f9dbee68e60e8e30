/**
 * Editing an environment, and what must not be edited so. Pure. Invariants:
 * 1. Every line that is not about a changed variable stays byte for byte.
 * 2. A variable that a running instance reads only at its first start, or that several places embed, is named with the workflow that changes it.
 */
import type { Finding } from '../../doctor/findings.ts';
import { isGateway, isLocalHost, readUrl } from '../../doctor/look.ts';
import { type EnvText, envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import type { PlannedRoute } from './document.ts';

export type Edit = { set: Readonly<Record<string, string>>; unset: readonly string[]; https: boolean };

/** Why a value is bound, and the workflow that changes all of it; null where none does yet. */
export type Bond = { why: string; workflow: string | null };

/** Variables that are bound to something outside the environment. */
export const boundVariables: Readonly<Record<string, Bond>> = {
  POSTGRES_PASSWORD: { why: 'the roles of the database keep the one of the first start', workflow: 'rotate-secrets' },
  JWT_SECRET: { why: 'both keys, the key sets and the database embed it', workflow: 'rotate-secrets' },
  ANON_KEY: { why: 'it must be signed with JWT_SECRET', workflow: 'repair-keys' },
  SERVICE_ROLE_KEY: { why: 'it must be signed with JWT_SECRET', workflow: 'repair-keys' },
  JWT_KEYS: { why: 'it embeds JWT_SECRET', workflow: 'repair-keys' },
  JWT_JWKS: { why: 'it embeds JWT_SECRET', workflow: 'repair-keys' },
  VAULT_ENC_KEY: { why: 'the pooler’s stored tenant is encrypted with the earlier one', workflow: 'rotate-secrets' },
  PG_META_CRYPTO_KEY: { why: 'what was encrypted with the earlier one can no longer be read', workflow: 'rotate-secrets' },
  DB_ENC_KEY: { why: 'Realtime’s stored tenant is encrypted with the earlier one', workflow: null },
  POOLER_TENANT_ID: { why: 'the pooler’s tenant is made once, and connection strings name it', workflow: null },
  POOLER_DEFAULT_POOL_SIZE: { why: 'the pooler reads it from its stored tenant', workflow: 'resize-pool' },
  POOLER_MAX_CLIENT_CONN: { why: 'the pooler reads it from its stored tenant', workflow: 'resize-pool' },
};

/** Throws ENV_VALUE_UNSAFE for a value that no reader would read alike. */
export function applyEdit(text: string, edit: Edit, httpsValues: Readonly<Record<string, string>>): string {
  const kept = parseEnv(text).filter((item) => item.kind !== 'entry' || !edit.unset.includes(item.name));
  return printEnv(Object.entries({ ...httpsValues, ...edit.set }).reduce<EnvText>((env, [name, value]) => setEnv(env, name, value), kept));
}

const addressVariables = ['SUPABASE_PUBLIC_URL', 'API_EXTERNAL_URL', 'SITE_URL', 'ADDITIONAL_REDIRECT_URLS'];

export type HttpsChange = {
  values: Record<string, string>;
  /** Hosts of the instance itself whose route serves http only: https there would lead nowhere. */
  notServed: string[];
};

/** http to https in every element of every address; localhost stays, and so does what is not served. */
export function httpsValues(text: string, routes: readonly PlannedRoute[]): HttpsChange {
  const env = envVariables(parseEnv(text));
  const own = routes.filter(({ serviceName }) => isGateway(serviceName));
  const notServed = new Set<string>();
  const values: Record<string, string> = {};
  for (const name of addressVariables) {
    const value = env.get(name) ?? '';
    const changed = value
      .split(',')
      .map((element) => {
        const url = readUrl(element.trim().replaceAll('*', 'x'));
        if (url?.protocol !== 'http:' || isLocalHost(url.hostname)) return element;
        const route = own.find(({ host }) => host === url.hostname);
        if (route && !route.https) notServed.add(url.hostname);
        return route && !route.https ? element : element.replace(/http:\/\//i, 'https://');
      })
      .join(',');
    if (changed !== value) values[name] = changed;
  }
  return { values, notServed: [...notServed] };
}

/** Changed variables that this edit should not touch. */
export function boundIn(before: string, after: string): string[] {
  const [was, is] = [envVariables(parseEnv(before)), envVariables(parseEnv(after))];
  return Object.keys(boundVariables).filter((name) => was.get(name) !== is.get(name));
}

/** What the doctor finds bad in the new text and did not find in the earlier one. */
export function newlyBad(before: readonly Finding[], after: readonly Finding[]): Finding[] {
  const known = new Set(before.map(({ code, at }) => `${code} ${at}`));
  return after.filter(({ severity, code, at }) => (severity === 'critical' || severity === 'error') && !known.has(`${code} ${at}`));
}
