/**
 * Of which generation a target is, from what can be seen now: the gateway's own words, the database, and the environment that is deployed or was
 * handed over. Invariants: 1. What cannot be told is `unknown`, with the reason. 2. What was seen wins over what was written down.
 */
import { type Shape, shapeOf } from './doctor/generations.ts';
import type { Reach } from './effects/handler.ts';
import type { SqlTarget } from './effects/postgres/open.ts';
import type { Told } from './effects/supabase/gateway-kind.ts';
import type { OutsideMarks } from './effects/supabase/outside-marks.ts';
import { envVariables, parseEnv } from './env-text.ts';
import { AppError } from './errors.ts';
import type { SqlReach } from './sql-reach.ts';
import type { TargetRow } from './store/registry.ts';
import { toTargetRecord } from './target-place.ts';

export type Generation = {
  gateway: Told<'kong' | 'envoy' | 'cloud' | 'unknown'>;
  /** True: API_EXTERNAL_URL ends with /auth/v1, as since v0.7. */
  apiUrlHasSuffix: Told<boolean | 'unknown'>;
  analytics: Told<boolean | 'unknown'>;
  postgres: Told<number | 'unknown'>;
  /** As whom the service meta logs in: supabase_admin before June 2026, postgres since. */
  metaRole: Told<string>;
  /** Keys of the form sb_publishable_…, sb_secret_…. */
  newKeys: Told<boolean | 'unknown'>;
};

export type GenerationDeps = {
  reach: SqlReach;
  /** The environment of a target's service on its Dokploy; undefined for a target that is on none. */
  deployedEnv(row: TargetRow, signal?: AbortSignal): Promise<string | undefined>;
  /** A stored secret; whatever is revealed is known to the scrubber. */
  reveal(reference: string): Promise<string>;
};

const unknown = (because: string) => ({ value: 'unknown' as const, because });
const reasonOf = (error: unknown): string => {
  if (error instanceof AppError && error.code !== 'ABORTED') return `${error.code}: ${error.message}`;
  throw error;
};

/** Never throws for what could not be asked; the vault's errors and an abort go through. */
export async function detectGeneration(deps: GenerationDeps, row: TargetRow, signal?: AbortSignal): Promise<Generation> {
  const written = await writtenDown(deps, row, signal);
  const [gateway, seen, outside] = await Promise.all([
    gatewaySeen(deps, row, written, signal),
    databaseSeen(deps, row, signal),
    outsideSeen(deps, row, signal),
  ]);
  const said = <T>(read: (shape: Shape) => T): Told<T | 'unknown'> =>
    written.shape === undefined ? unknown(written.because) : { value: read(written.shape), because: written.because };
  const analytics = said(({ analytics: there }) => there);
  const metaRole = said(({ metaRole: role }) => role);
  return {
    gateway,
    apiUrlHasSuffix: either(
      outside.apiUrlHasSuffix,
      said(({ apiUrlHasSuffix }) => apiUrlHasSuffix),
    ),
    analytics: analytics.value === 'unknown' ? seen.analytics : analytics,
    postgres: seen.postgres,
    metaRole: seen.metaRole.value === 'unknown' ? metaRole : seen.metaRole,
    newKeys: either(
      outside.newKeys,
      said(({ newKeys }) => newKeys),
    ),
  };
}

/** What was seen, else what is written down, else both reasons why neither is known. */
function either<T>(seen: Told<T | 'unknown'>, written: Told<T | 'unknown'>): Told<T | 'unknown'> {
  if (seen.value !== 'unknown') return seen;
  return written.value === 'unknown' ? { value: 'unknown', because: `${seen.because}; ${written.because}` } : written;
}

type Written = { shape?: Shape; because: string };

async function writtenDown(deps: GenerationDeps, row: TargetRow, signal?: AbortSignal): Promise<Written> {
  try {
    const env = await deps.deployedEnv(row, signal);
    if (env !== undefined) return { shape: shapeOf(envVariables(parseEnv(env))), because: 'the environment of its service says so' };
  } catch (error) {
    return { because: `the environment of its service could not be read (${reasonOf(error)})` };
  }
  const kept: unknown = Reflect.get(Object(row.record['facts']), 'generation');
  if (typeof kept === 'object' && kept !== null && 'gateway' in kept)
    return { shape: kept as Shape, because: 'the environment file that it was made from says so' }; // written by draftFromEnv
  return { because: 'its environment is not known here' };
}

async function gatewaySeen(
  deps: GenerationDeps,
  row: TargetRow,
  { shape, because }: Written,
  signal?: AbortSignal,
): Promise<Generation['gateway']> {
  const url = typeof row.record['url'] === 'string' ? row.record['url'] : '';
  const guess = (why: string): Generation['gateway'] =>
    shape === undefined || shape.gateway === 'unknown' ? unknown(why) : { value: shape.gateway, because: `${because}; ${why}` };
  if (url === '') return guess('no address of its API is known');
  const { askGateway } = await import('./effects/supabase/gateway-kind.ts');
  try {
    const told = await askGateway(url, (await deps.reach.ways(row, [], signal)).reach, signal);
    return told.value === 'unknown' ? guess(told.because) : told;
  } catch (error) {
    return guess(reasonOf(error));
  }
}

/** What the public address shows to whoever asks, and of a project of the cloud its Management API. */
async function outsideSeen(deps: GenerationDeps, row: TargetRow, signal?: AbortSignal): Promise<OutsideMarks> {
  const { kind, url, secrets } = toTargetRecord(row);
  const { management, reach } = await deps.reach.ways(row, [], signal);
  if (kind === 'cloud')
    return { apiUrlHasSuffix: unknown('a project of the cloud keeps that to itself'), newKeys: await cloudKeys(management, reach, signal) };
  if (url === '') return { apiUrlHasSuffix: unknown('no address of its API is known'), newKeys: unknown('no address of its API is known') };
  const keyOf = async (name: string) => (secrets[name] === undefined ? undefined : deps.reveal(secrets[name]));
  const [anon, stored] = await Promise.all([keyOf('anonKey'), keyOf('publishableKey')]);
  const { askOutside } = await import('./effects/supabase/outside-marks.ts');
  return askOutside(url, { anon, publishable: stored ?? (anon?.startsWith('sb_publishable_') ? anon : undefined) }, reach, signal);
}

async function cloudKeys(management: SqlTarget['management'], reach: Reach, signal?: AbortSignal): Promise<OutsideMarks['newKeys']> {
  const { ref, token } = management ?? {};
  if (ref === undefined || token === undefined) return unknown('its keys are asked for with an access token only');
  const { hasNewKeys } = await import('./effects/supabase/management.ts');
  try {
    return { value: await hasNewKeys({ ref, token, reach }, signal), because: 'the Management API lists its keys' };
  } catch (error) {
    return unknown(reasonOf(error));
  }
}

const seenSql = `select current_setting('server_version_num')::int / 10000 as major,
  exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = '_analytics' and c.relkind = 'r') as analytics`;

async function databaseSeen(
  deps: GenerationDeps,
  row: TargetRow,
  signal?: AbortSignal,
): Promise<Pick<Generation, 'postgres' | 'analytics' | 'metaRole'>> {
  const { openSession } = await import('./effects/postgres/open.ts');
  const options = { timeoutMs: 10_000, ...(signal ? { signal } : {}) };
  const ways = await deps.reach.ways(row, [], signal);
  const look = async (database?: string) => {
    const session = await openSession(ways, 'read', { ...options, ...(database === undefined ? {} : { database }) });
    const [found] = (await session.query<{ major: number; analytics: boolean }>(seenSql).finally(() => session.close())).rows;
    return found;
  };
  const metaRole = openSession(ways, 'admin', { ...options, rung: 'meta' }).then(
    async (session) => {
      await session.close();
      return { value: session.role, because: 'the session that meta opens by itself says so' };
    },
    (error: unknown) => unknown(reasonOf(error)),
  );
  try {
    const here = await look();
    const postgres = here === undefined ? unknown('the database answered no row') : { value: here.major, because: 'the database says so' };
    if (here?.analytics === true)
      return { postgres, analytics: { value: true, because: 'its schema _analytics has tables' }, metaRole: await metaRole };
    // Newer stacks keep it in a database of its own.
    const inner = await look('_supabase').catch((error: unknown) => reasonOf(error));
    const analytics =
      typeof inner === 'object' ? { value: inner.analytics, because: 'the database _supabase says so' } : unknown(inner ?? 'no row');
    return { postgres, analytics, metaRole: await metaRole };
  } catch (error) {
    const because = reasonOf(error);
    return { postgres: unknown(because), analytics: unknown(because), metaRole: await metaRole };
  }
}
