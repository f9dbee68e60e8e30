/**
 * May this host be used? Invariants:
 * 1. No Let's Encrypt for a name that does not lead to the serving machine: a failing request counts against its limits (design §7).
 * 2. "Cannot be proven" goes on only when a person said so, and stays as a warning.
 * 3. Doubles are looked for among the compose services of this Dokploy; domains of its other applications cannot be listed.
 */
import { checkDomain as contract } from '../../../machines/effects/dns.ts';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import { type DokployDeps, openDokploy } from '../dokploy/session.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { isLocalHost } from '../supabase/plan-setup.ts';
import type { DomainCheck } from './domain.ts';

type Question = {
  host: string;
  certificate: 'letsencrypt' | 'none' | 'custom';
  acceptUnresolved: boolean;
  letsEncryptEmail: string | null;
};

export type HostQuestion = Question & {
  dokploy: string;
  serverIp: string | null;
  /** A service that may have the host already. */
  except?: string;
};

/** Throws DOMAIN_NO_CERTIFICATE, LETSENCRYPT_EMAIL_MISSING, DOMAIN_TAKEN and what judgeDomain throws. */
export async function requireHostUsable(deps: DokployDeps, ctx: EffectContext, input: HostQuestion) {
  requireCertificatePossible(input);
  await requireUnused(deps, ctx, input);
  if (isLocalHost(input.host))
    return { state: 'local' as const, say: `${input.host} is served on the machine itself only.`, warnings: httpWarning(input) };
  const { checkDomain } = await import('./domain.ts');
  const { reach } = await ctx.dokploy(input.dokploy);
  const check = await checkDomain({ host: input.host, expectedIp: input.serverIp, reach });
  return { state: check.state, say: check.say, warnings: [...judgeDomain(input, check), ...httpWarning(input)] };
}

export function createDnsHandlers(deps: DokployDeps) {
  return { 'dns.checkDomain@1': defineHandler(contract, { run: (ctx, input) => requireHostUsable(deps, ctx, input) }) };
}

/** Throws for what can never work: a local name or an IP address with a certificate, Let's Encrypt without its mail address. */
export function requireCertificatePossible({ host, certificate, letsEncryptEmail }: Question): void {
  const bare = /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || !host.includes('.');
  if (certificate !== 'none' && (isLocalHost(host) || bare)) {
    throw new AppError('DOMAIN_NO_CERTIFICATE', {
      message: `No certificate can be had for ${host}: it is a local name or an address.`,
      fix: 'Use a domain name, or choose certificate none for a trial on this machine.',
    });
  }
  if (certificate === 'letsencrypt' && (letsEncryptEmail ?? '') === '') {
    throw new AppError('LETSENCRYPT_EMAIL_MISSING', {
      message: 'This Dokploy has no Let’s Encrypt mail address, so it cannot ask for a certificate.',
      fix: 'Set it in Dokploy under Web Server, Server Domain, then try again; or choose another certificate.',
    });
  }
}

/** Pure: the warnings of an accepted domain. Throws DOMAIN_UNRESOLVED, DOMAIN_ELSEWHERE or DOMAIN_UNPROVEN. */
export function judgeDomain(question: Question, check: Pick<DomainCheck, 'state' | 'say'>): Warning[] {
  const { certificate, acceptUnresolved } = question;
  switch (check.state) {
    case 'points-here':
      return [];
    case 'unresolved':
      if (certificate !== 'letsencrypt' && acceptUnresolved) return [unproven(check.say)];
      throw new AppError('DOMAIN_UNRESOLVED', {
        message: check.say,
        fix:
          certificate === 'letsencrypt'
            ? 'Add the DNS record and wait until it is known; Let’s Encrypt is not asked before.'
            : 'Add the DNS record, or send acceptUnresolved: true if you will do it later.',
      });
    case 'elsewhere':
      if (certificate !== 'letsencrypt' && acceptUnresolved) return [unproven(check.say)];
      throw new AppError('DOMAIN_ELSEWHERE', {
        message: check.say,
        fix:
          certificate === 'letsencrypt'
            ? 'Point the DNS record to the serving machine; Let’s Encrypt is not asked before.'
            : 'Point the DNS record to the serving machine, or send acceptUnresolved: true if a proxy leads there.',
      });
    case 'cdn-or-unknown':
      if (acceptUnresolved) return [unproven(check.say)];
      throw new AppError('DOMAIN_UNPROVEN', {
        message: `Whether the domain leads to the serving machine cannot be proven. ${check.say}`,
        fix: 'Set the server’s IP address in Dokploy under Web Server, or send acceptUnresolved: true if you know that it leads there.',
      });
    default:
      return check.state satisfies never;
  }
}

function unproven(say: string): Warning {
  return { code: 'DOMAIN_UNPROVEN', say: `The domain was accepted without proof. ${say}` };
}

function httpWarning({ host, certificate }: Question): Warning[] {
  if (certificate !== 'none' || isLocalHost(host)) return [];
  return [{ code: 'HTTP_ONLY', say: `http://${host} is not encrypted: keys and sessions can be read on the way.` }];
}

async function requireUnused(deps: DokployDeps, ctx: EffectContext, { dokploy, host, except }: HostQuestion): Promise<void> {
  const client = await openDokploy(deps, ctx, dokploy);
  const composes = (await client.projects()).flatMap((project) => project.environments.flatMap((environment) => environment.compose ?? []));
  for (const [index, { composeId }] of composes.entries()) {
    if (composeId === except) continue;
    ctx.progress(`Looking for the host among ${composes.length} services`, Math.round((100 * index) / composes.length));
    const taken = (await client.domains(composeId)).some((domain) => domain.host.toLowerCase() === host);
    if (!taken) continue;
    throw new AppError('DOMAIN_TAKEN', {
      message: `Another service of the Dokploy "${dokploy}" has the host ${host} already; two routers for one host take turns at random.`,
      fix: 'Choose another host, or remove the domain from the other service.',
      details: { composeId },
    });
  }
}
