/** The certificate and the live probes of an instance, as far as its own environment says where it is. */
import { createHash } from 'node:crypto';
import type { CertificateFacts, DomainFacts, Facts } from '../../doctor/facts.ts';
import { isGateway, isLocalHost, readUrl } from '../../doctor/look.ts';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { verifyInstance } from '../supabase/probes.ts';
import { queryThroughMeta } from '../supabase/sql.ts';
import { inspectCertificate } from '../tls/certificate.ts';

export type LiveOptions = {
  env: ReadonlyMap<string, string>;
  domains: readonly DomainFacts[] | null;
  reach: Reach;
  now: () => number;
  signal: AbortSignal | undefined;
};

export type LiveFacts = Pick<Facts, 'certificate' | 'live' | 'jwtSecretInDatabase' | 'unknown'> & {
  /** What was asked; null when no address is known. */
  url: string | null;
};

/** Throws ABORTED only. */
export async function gatherLive(options: LiveOptions): Promise<LiveFacts> {
  const { env, reach, signal } = options;
  const url = addressOf(options);
  const asked = url?.origin ?? null;
  const nothing = (say: string): LiveFacts => ({ certificate: null, live: null, jwtSecretInDatabase: null, unknown: [say], url: asked });
  const [anonKey = '', serviceKey = '', secret = ''] = ['ANON_KEY', 'SERVICE_ROLE_KEY', 'JWT_SECRET'].map((name) => env.get(name));
  if (!url) return nothing('No public address is known for this instance, so no live check was run.');
  const certificate = url.protocol === 'https:' ? await certificateOf(url, options) : null;
  if (certificate && certificate.state !== 'valid')
    return { ...nothing('No live check was run: keys are not sent without a trusted certificate.'), certificate };
  if (!isHeaderSafe(anonKey) || !isHeaderSafe(serviceKey))
    return { ...nothing('No live check was run: the keys of the environment are no text that can be sent.'), certificate };
  const access = { baseUrl: url.origin, anonKey, serviceKey, reach, ...(signal ? { signal } : {}) };
  const { checks } = await verifyInstance(access);
  const sqlRuns = checks.some(({ name, ok }) => name === 'service-key-runs-sql' && ok);
  const stored = sqlRuns ? await storedSecretIs(access, secret) : null;
  const unknown = sqlRuns && stored === null ? ['The JWT secret that the database keeps could not be read.'] : [];
  return { certificate, live: checks, jwtSecretInDatabase: stored, unknown, url: asked };
}

/** The route of the gateway says where the instance is; where there is none, its own public address. */
export function addressOf({ env, domains }: Pick<LiveOptions, 'env' | 'domains'>): URL | undefined {
  const own = readUrl(env.get('SUPABASE_PUBLIC_URL') ?? '');
  const routes = (domains ?? []).filter(({ serviceName }) => isGateway(serviceName));
  const route = routes.find(({ host }) => host === own?.hostname) ?? routes[0];
  if (route) return readUrl(`${route.https ? 'https' : 'http'}://${route.host}`);
  return own && !isLocalHost(own.hostname) ? own : undefined;
}

async function certificateOf(url: URL, { reach, now, signal }: LiveOptions): Promise<CertificateFacts> {
  try {
    const found = await inspectCertificate(url.hostname, Number(url.port || 443), reach, { now, ...(signal ? { signal } : {}) });
    const { state } = found;
    if (state === 'valid') return { state, host: url.hostname, expiresAt: found.expiresAt, daysLeft: found.daysLeft };
    return { state, host: url.hostname, say: found.say };
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    return { state: 'unreachable', host: url.hostname, say: error.message };
  }
}

/** Only printable ASCII can stand in a header; an empty key proves nothing. */
function isHeaderSafe(key: string): boolean {
  return /^[\x21-\x7e]+$/.test(key);
}

/** The database answers a hash, so that the secret itself does not travel. Null when it cannot be asked. */
async function storedSecretIs(access: Parameters<typeof queryThroughMeta>[0], secret: string): Promise<boolean | null> {
  const sql = "select encode(sha256(convert_to(current_setting('app.settings.jwt_secret', true), 'UTF8')), 'hex') as hash";
  try {
    const hash = (await queryThroughMeta(access, sql))[0]?.['hash'];
    if (typeof hash !== 'string') return null;
    return hash === createHash('sha256').update(secret, 'utf8').digest('hex');
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    return null;
  }
}
