/**
 * Proving a new instance from outside. Invariants:
 * 1. The certificate comes first: without a trusted one no key is sent, and the checks that need keys are "not run", never passed.
 * 2. A route needs some seconds after a deployment, so silence is asked again for a minute; a refusal of a key is definite.
 */

import type { Warning } from '../../../machines/effects/shapes.ts';
import { verifyInstance as contract } from '../../../machines/effects/supabase.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext, type Reach } from '../handler.ts';
import type { CertificateState } from '../tls/certificate.ts';
import type { InstanceAccess, InstanceVerdict } from './probes.ts';

type Check = { name: string; ok: boolean | null; side: string; say: string };
type Facts = { postgresMajor: number | null; maxConnections: number | null };

export type VerifyDeps = { /** How long silence is asked again. Default 60 000 ms. */ verifyPatienceMs?: number };

const needKeys = [
  'service-key-is-admin',
  'anon-key-is-not-admin',
  'anon-key-reads-settings',
  'service-key-reads-rest',
  'service-key-runs-sql',
  'anon-key-runs-no-sql',
];

export function createVerifyHandlers(deps: VerifyDeps) {
  return {
    'supabase.verifyInstance@1': defineHandler(contract, {
      async run(ctx, input) {
        const { reach } = await ctx.dokploy(input.dokploy);
        const until = ctx.now() + (deps.verifyPatienceMs ?? 60_000);
        const https = input.certificate !== 'none';
        const checks: Check[] = [];
        if (https) {
          const certificate = await awaitConnection(ctx, input.host, reach, until);
          checks.push(certificateCheck(certificate));
          if (certificate.state === 'unreachable')
            return { verdict: 'failed' as const, checks: [...checks, ...notRun()], warnings: [], ...unknownFacts };
          if (certificate.state !== 'valid')
            return { verdict: 'certificatePending' as const, checks: [...checks, ...notRun()], warnings: [], ...unknownFacts };
        }
        const access: InstanceAccess = {
          baseUrl: `${https ? 'https' : 'http'}://${input.host}`,
          anonKey: await ctx.secrets.reveal(input.anonKey),
          serviceKey: await ctx.secrets.reveal(input.serviceRoleKey),
          reach,
          signal: ctx.signal,
        };
        const { ok, checks: live } = await probeUntil(ctx, access, until);
        const facts = ok ? await readFacts(access) : unknownFacts;
        return {
          verdict: ok ? ('passed' as const) : ('failed' as const),
          checks: [...checks, ...live],
          warnings: https ? [] : [overHttp(input.host)],
          ...facts,
        };
      },
    }),
  };
}

const unknownFacts: Facts = { postgresMajor: null, maxConnections: null };

async function awaitConnection(ctx: EffectContext, host: string, reach: Reach, until: number): Promise<CertificateState> {
  const { inspectCertificate } = await import('../tls/certificate.ts');
  for (;;) {
    const found = await inspectCertificate(host, 443, reach, { signal: ctx.signal, now: ctx.now });
    if (found.state !== 'unreachable' || ctx.now() >= until) return found;
    ctx.progress(found.say);
    await ctx.sleep(2_000);
  }
}

function certificateCheck(found: CertificateState): Check {
  if (found.state === 'valid')
    return {
      name: 'certificate',
      ok: true,
      side: 'none',
      say: `The certificate is trusted, of ${found.issuer}, valid for ${found.daysLeft} more days.`,
    };
  return { name: 'certificate', ok: false, side: 'tls', say: found.say };
}

function notRun(): Check[] {
  return needKeys.map((name) => ({ name, ok: null, side: 'none', say: 'Not run: keys are not sent without a trusted certificate.' }));
}

/** Asks again while the other side is silent or not yet routed; a key that is refused is not going to be accepted later. */
async function probeUntil(ctx: EffectContext, access: InstanceAccess, until: number): Promise<InstanceVerdict> {
  const { verifyInstance } = await import('./probes.ts');
  for (;;) {
    const verdict = await verifyInstance(access);
    if (verdict.ok || ctx.now() >= until || isDefinite(verdict)) return verdict;
    ctx.progress(`${verdict.checks.filter((check) => check.ok).length} of ${verdict.checks.length} live checks pass`);
    await ctx.sleep(2_500);
  }
}

/** The gateway answers for storage, and refuses a key or a signature elsewhere: time will not mend it. A service that still starts is `upstream`. */
export function isDefinite({ checks }: InstanceVerdict): boolean {
  const storage = checks.find((check) => check.name === 'storage-answers');
  return storage?.ok === true && checks.some((check) => !check.ok && (check.side === 'signature' || check.side === 'gateway'));
}

async function readFacts(access: InstanceAccess): Promise<Facts> {
  const { queryThroughMeta } = await import('./sql.ts');
  try {
    const rows = await queryThroughMeta(
      access,
      "select current_setting('server_version_num') as version, current_setting('max_connections') as connections",
    );
    const number = (value: unknown) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : null);
    const version = number(rows[0]?.version);
    return { postgresMajor: version === null ? null : Math.floor(version / 10_000), maxConnections: number(rows[0]?.connections) };
  } catch (error) {
    if (error instanceof AppError && error.code !== 'ABORTED') return unknownFacts;
    throw error;
  }
}

function overHttp(host: string): Warning {
  return { code: 'VERIFIED_OVER_HTTP', say: `http://${host} was checked without encryption; its keys have travelled in clear.` };
}
