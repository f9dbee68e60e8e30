/**
 * Proves a live instance by requests that only a right one answers rightly (facts: discriminating live probe). Invariants:
 * 1. A refusal counts as proven only by 401 or 403 from the other side; an error or a silence proves nothing.
 * 2. Keys appear in no sentence; over https they are sent only on a trusted connection (http.ts).
 * 3. `ok` of the whole is true only when every check is.
 */
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { createHttp, type Http, type HttpAnswer } from '../http/http.ts';
import { judgeRefusal, type ProbeSide } from './probe-answers.ts';
import { keyHeaders } from './sql.ts';

export type ProbeName =
  | 'service-key-is-admin'
  | 'anon-key-is-not-admin'
  | 'anon-key-reads-settings'
  | 'service-key-reads-rest'
  | 'storage-answers'
  | 'service-key-runs-sql'
  | 'anon-key-runs-no-sql';

export type ProbeCheck = { name: ProbeName; ok: boolean /** Which side is wrong; none when ok. */; side: ProbeSide; say: string };
export type InstanceVerdict = { ok: boolean; checks: ProbeCheck[] };

export type InstanceAccess = {
  /** Public base URL without trailing slash. */
  baseUrl: string;
  anonKey: string;
  serviceKey: string;
  reach: Reach;
  signal?: AbortSignal;
  /** Each request, in ms. Default 15,000. */
  timeoutMs?: number;
};

type Probe = {
  name: ProbeName;
  what: string;
  path: string;
  key?: string;
  json?: unknown;
  /** accepted = must be 200; refused = must be 401 or 403. */
  expect: 'accepted' | 'refused';
  /** A further condition on a 200. */
  proves?: (answer: HttpAnswer) => boolean;
};

/** Runs all seven probes. Throws ABORTED only; every other failure is a check that is not ok. */
export async function verifyInstance(access: InstanceAccess): Promise<InstanceVerdict> {
  const http = createHttp(access.reach, { ...(access.signal ? { signal: access.signal } : {}), timeoutMs: access.timeoutMs ?? 15_000 });
  const checks = await Promise.all(probesFor(access).map((probe) => runProbe(http, access.baseUrl, probe)));
  return { ok: checks.every((check) => check.ok), checks };
}

function probesFor({ anonKey, serviceKey }: InstanceAccess): Probe[] {
  const sql = { query: 'select 1 as one' };
  const admin = '/auth/v1/admin/users?per_page=1';
  return [
    {
      name: 'service-key-is-admin',
      what: 'The service key on the admin route of auth',
      path: admin,
      key: serviceKey,
      expect: 'accepted',
      proves: isJson,
    },
    { name: 'anon-key-is-not-admin', what: 'The anon key on the admin route of auth', path: admin, key: anonKey, expect: 'refused' },
    {
      name: 'anon-key-reads-settings',
      what: 'The anon key on the settings of auth',
      path: '/auth/v1/settings',
      key: anonKey,
      expect: 'accepted',
      proves: isJson,
    },
    {
      name: 'service-key-reads-rest',
      what: 'The service key on rest',
      path: '/rest/v1/',
      key: serviceKey,
      expect: 'accepted',
      proves: isJson,
    },
    { name: 'storage-answers', what: 'The status of storage', path: '/storage/v1/status', expect: 'accepted', proves: isNoPage },
    {
      name: 'service-key-runs-sql',
      what: 'SQL with the service key',
      path: '/pg/query',
      key: serviceKey,
      json: sql,
      expect: 'accepted',
      proves: isOneRow,
    },
    { name: 'anon-key-runs-no-sql', what: 'SQL with the anon key', path: '/pg/query', key: anonKey, json: sql, expect: 'refused' },
  ];
}

async function runProbe(http: Http, baseUrl: string, probe: Probe): Promise<ProbeCheck> {
  try {
    const answer = await http.request({
      method: probe.json === undefined ? 'GET' : 'POST',
      url: `${baseUrl}${probe.path}`,
      headers: probe.key === undefined ? {} : keyHeaders(probe.key),
      ...(probe.json === undefined ? {} : { json: probe.json }),
      readOnly: true,
    });
    return judge(probe, answer);
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    return { name: probe.name, ok: false, side: sideOfFailure(error.code), say: `${probe.what} could not be tried. ${error.message}` };
  }
}

function judge(probe: Probe, answer: HttpAnswer): ProbeCheck {
  const { name, what } = probe;
  if (probe.expect === 'refused') {
    if (answer.status === 401 || answer.status === 403) return refusedAsDue(probe, answer);
    if (answer.status === 200)
      return { name, ok: false, side: 'gateway', say: `${what} is accepted, though it must be refused: the two keys may be the same.` };
    const { side, say } = judgeRefusal(answer);
    return { name, ok: false, side, say: `${what} is not refused properly (status ${answer.status}). ${say}` };
  }
  if (answer.status === 200) {
    if (!probe.proves || probe.proves(answer)) return { name, ok: true, side: 'none', say: `${what} is accepted.` };
    return { name, ok: false, side: 'gateway', say: `${what} is answered with 200, but not by the service that should answer.` };
  }
  const { side, say } = judgeRefusal(answer);
  return { name, ok: false, side, say: `${what} is refused with status ${answer.status}. ${say}` };
}

/** An anon key that nobody knows, or whose signature is wrong, is refused as well: that proves nothing about its role. */
function refusedAsDue({ name, what }: Probe, answer: HttpAnswer): ProbeCheck {
  const { side, say, reason } = judgeRefusal(answer);
  if (reason !== 'no-right' && reason !== 'other') return { name, ok: false, side, say: `${what} is refused for the wrong reason. ${say}` };
  return { name, ok: true, side: 'none', say: `${what} is refused, as it must be.` };
}

function sideOfFailure(code: string): ProbeSide {
  if (code === 'HOST_NOT_FOUND') return 'dns';
  return code.startsWith('TLS_') ? 'tls' : 'gateway';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isJson(answer: HttpAnswer): boolean {
  const value = parse(answer.text);
  return typeof value === 'object' && value !== null;
}

/** Storage answers its status with an empty 200; a web page there comes from something else. */
function isNoPage(answer: HttpAnswer): boolean {
  return !/^\s*</.test(answer.text);
}

function isOneRow(answer: HttpAnswer): boolean {
  const rows = parse(answer.text);
  const row: unknown = Array.isArray(rows) ? rows[0] : undefined;
  return typeof row === 'object' && row !== null && Reflect.get(row, 'one') === 1;
}
