import { assign } from 'xstate';
import { need, toRunError } from './run-context.ts';
import { addWarnings, dropWarnings, type WizardContext, wizardWarnings } from './wizard-context.ts';
import { events } from './wizard-events.ts';
import { answered, wizard } from './wizard-setup.ts';

function withoutCertificate(context: WizardContext) {
  return { ...answered, warnings: addWarnings(context.warnings, [wizardWarnings.certificateMissing]) };
}

function failedChecks(checks: readonly { name: string; ok: boolean | null }[]): string {
  return (
    checks
      .filter((check) => check.ok === false)
      .map((check) => check.name)
      .join(', ') || 'none was run'
  );
}

/** Steps 8 and 9: live proof, certificate, handover. */
export const verifyStates = {
  // 8 verify
  verifying: wizard.createStateConfig({
    meta: { title: 'Proving the instance', step: 8 },
    invoke: {
      id: 'verify',
      src: 'supabase.verifyInstance@1',
      input: ({ context }) => {
        const { host, certificate } = need(context.domain, 'domain');
        const { references } = need(context.secrets, 'secrets');
        return {
          dokploy: need(context.dokploy, 'dokploy'),
          host,
          certificate,
          anonKey: need(references.ANON_KEY ?? null, 'ANON_KEY'),
          serviceRoleKey: need(references.SERVICE_ROLE_KEY ?? null, 'SERVICE_ROLE_KEY'),
        };
      },
      onDone: [
        {
          guard: ({ event }) => event.output.verdict === 'passed',
          target: 'verified',
          actions: assign(({ context, event }) => ({
            verification: event.output,
            warnings: addWarnings(dropWarnings(context.warnings, 'CERTIFICATE_MISSING', 'VERIFICATION_FAILED'), event.output.warnings),
          })),
        },
        {
          guard: ({ event }) => event.output.verdict === 'certificatePending',
          target: 'awaitingCertificate',
          actions: assign(({ event }) => ({ verification: event.output })),
        },
        {
          target: 'verificationFailed',
          actions: assign(({ event }) => ({
            verification: event.output,
            error: {
              code: 'VERIFICATION_FAILED',
              message: `Live checks of the instance failed: ${failedChecks(event.output.checks)}.`,
              fix: 'Retry when the cause is removed, roll back, or accept the result with a warning.',
              retry: 'never' as const,
            },
          })),
        },
      ],
      onError: { target: 'verificationFailed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  awaitingCertificate: wizard.createStateConfig({
    meta: {
      title: 'Waiting for the certificate',
      step: 8,
      events: { continueWithoutCertificate: events.continueWithoutCertificate },
      rollback: { to: 'name', when: 'offered' },
    },
    invoke: {
      id: 'awaitCertificate',
      src: 'tls.awaitCertificate@1',
      input: ({ context }) => ({ dokploy: need(context.dokploy, 'dokploy'), host: need(context.domain, 'domain').host }),
      onDone: { target: 'verifying' },
      onError: { target: 'certificateMissing', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
    on: { continueWithoutCertificate: { target: 'verified', actions: assign(({ context }) => withoutCertificate(context)) } },
  }),
  certificateMissing: wizard.createStateConfig({
    meta: {
      title: 'No trusted certificate is served',
      step: 8,
      events: { retry: events.retryCheck, continueWithoutCertificate: events.continueWithoutCertificate },
      rollback: { to: 'name', when: 'offered' },
    },
    on: {
      retry: { target: 'awaitingCertificate', actions: assign(answered) },
      continueWithoutCertificate: { target: 'verified', actions: assign(({ context }) => withoutCertificate(context)) },
    },
  }),
  verificationFailed: wizard.createStateConfig({
    meta: {
      title: 'The instance did not pass its checks',
      step: 8,
      events: { retry: events.retryCheck, acceptWithWarning: events.acceptWithWarning },
      rollback: { to: 'name', when: 'offered' },
    },
    on: {
      retry: { target: 'verifying', actions: assign(answered) },
      acceptWithWarning: {
        target: 'verified',
        actions: assign(({ context }) => ({ ...answered, warnings: addWarnings(context.warnings, [wizardWarnings.verificationFailed]) })),
      },
    },
  }),
  verified: wizard.createStateConfig({
    meta: {
      title: 'Ready to hand over',
      step: 8,
      checkpoint: 'verified',
      releases: true,
      events: { handover: events.handover },
      rollback: { to: 'name', when: 'offered' },
    },
    on: { handover: { target: 'handingOver', actions: assign(answered) } },
  }),

  // 9 handover
  handingOver: wizard.createStateConfig({
    meta: { title: 'Handing over', step: 9 },
    invoke: {
      id: 'handOver',
      src: 'target.register@1',
      input: ({ context }) => ({
        dokploy: need(context.dokploy, 'dokploy'),
        name: need(context.name, 'name'),
        environment: context.environment,
        host: need(context.domain, 'domain').host,
        url: need(context.plan, 'plan').url,
        ...need(context.project, 'project'),
        ...need(context.service, 'service'),
        references: { ...need(context.secrets, 'secrets').references, ...(context.smtp ? { SMTP_PASS: context.smtp.pass } : {}) },
        poolerTenantId: need(context.secrets, 'secrets').poolerTenantId,
        postgresMajor: context.verification?.postgresMajor ?? context.plan?.postgres?.major ?? null,
        templateSha256: need(context.template, 'template').sha256,
        keysExpireAt: need(context.secrets, 'secrets').keysExpireAt,
        warnings: context.warnings,
      }),
      onDone: { target: 'done', actions: assign(({ event }) => ({ handover: event.output })) },
      onError: { target: 'verified', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  done: wizard.createStateConfig({ type: 'final', meta: { title: 'Handed over', step: 9, outcome: 'done' } }),
};
