/** Waiting for a trusted certificate. */
import { awaitCertificate as contract } from '../../../machines/effects/tls.ts';
import { AppError } from '../../errors.ts';
import { defineHandler } from '../handler.ts';

export type CertificateDeps = { /** Default 600 000 ms. */ certificateTimeoutMs?: number };

export function createTlsHandlers(deps: CertificateDeps) {
  return {
    'tls.awaitCertificate@1': defineHandler(contract, {
      async run(ctx, { dokploy, host, waitMs }) {
        const { inspectCertificate } = await import('./certificate.ts');
        const { reach } = await ctx.dokploy(dokploy);
        const until = ctx.now() + (waitMs ?? deps.certificateTimeoutMs ?? 600_000);
        for (;;) {
          const found = await inspectCertificate(host, 443, reach, { signal: ctx.signal, now: ctx.now });
          if (found.state === 'valid') return { issuer: found.issuer, expiresAt: found.expiresAt, daysLeft: found.daysLeft };
          ctx.progress(found.say);
          if (ctx.now() >= until) throw notIssued(host, found);
          await ctx.sleep(3_000);
        }
      },
    }),
  };
}

function notIssued(host: string, found: { state: string; say: string }): AppError {
  return new AppError('CERTIFICATE_NOT_ISSUED', {
    message: `${host} serves no trusted certificate yet. ${found.say}`,
    fix: 'Check that ports 80 and 443 are open to the world and that the DNS record is right, then retry; or go on without it.',
    details: { state: found.state },
  });
}
