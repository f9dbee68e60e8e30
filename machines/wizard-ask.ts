import { assign } from 'xstate';
import { need, toRunError } from './run-context.ts';
import { addWarnings, dropWarnings, type WizardContext, wizardWarnings } from './wizard-context.ts';
import { events } from './wizard-events.ts';
import { answered, wizard } from './wizard-setup.ts';

function withoutSmtp(context: WizardContext) {
  return { ...answered, smtp: null, smtpAnswered: true, warnings: addWarnings(context.warnings, [wizardWarnings.smtpSkipped]) };
}

function withSmtp(context: WizardContext, more: WizardContext['warnings']) {
  return { smtpAnswered: true, warnings: addWarnings(dropWarnings(context.warnings, wizardWarnings.smtpSkipped.code), more) };
}

/** Steps 1 to 6: questions, each answered by an event, checked by reads, and resting at a checkpoint. */
export const askStates = {
  // 1 connect
  connect: wizard.createStateConfig({
    meta: { title: 'Which Dokploy?', step: 1, checkpoint: 'connect', events: { connect: events.connect } },
    on: {
      connect: {
        target: 'checkingDokploy',
        actions: assign(({ event }) => ({ ...answered, dokploy: event.dokploy, serverId: event.serverId ?? null })),
      },
    },
  }),
  checkingDokploy: wizard.createStateConfig({
    meta: { title: 'Checking the Dokploy', step: 1 },
    invoke: {
      id: 'checkDokploy',
      src: 'dokploy.checkConnection@1',
      input: ({ context }) => ({ dokploy: need(context.dokploy, 'dokploy'), serverId: context.serverId }),
      onDone: {
        target: 'fetchingTemplate',
        actions: assign(({ context, event }) => ({
          connection: event.output,
          warnings: addWarnings(context.warnings, event.output.warnings),
        })),
      },
      onError: { target: 'connect', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  fetchingTemplate: wizard.createStateConfig({
    meta: { title: 'Fetching the Supabase template', step: 1 },
    invoke: {
      id: 'fetchTemplate',
      src: 'template.fetch@1',
      input: ({ context }) => ({ dokploy: need(context.dokploy, 'dokploy') }),
      onDone: { target: 'name', actions: assign(({ event }) => ({ template: event.output })) },
      onError: { target: 'connect', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),

  // 2 name
  name: wizard.createStateConfig({
    meta: { title: 'What is the project called?', step: 2, checkpoint: 'name', events: { name: events.name } },
    on: {
      name: {
        target: 'checkingName',
        actions: assign(({ context, event }) => ({
          ...answered,
          name: event.name,
          environment: event.environment ?? context.environment,
        })),
      },
    },
  }),
  checkingName: wizard.createStateConfig({
    meta: { title: 'Checking that the name is free', step: 2 },
    invoke: {
      id: 'checkName',
      src: 'dokploy.checkName@1',
      input: ({ context }) => ({ dokploy: need(context.dokploy, 'dokploy'), name: need(context.name, 'name') }),
      onDone: [{ guard: 'onlyNameChanges', target: 'planning' }, { target: 'secrets' }],
      onError: { target: 'name', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),

  // 3 secrets
  secrets: wizard.createStateConfig({
    meta: { title: 'Make the secrets', step: 3, checkpoint: 'secrets', events: { generate: events.generate } },
    on: {
      generate: {
        target: 'generatingSecrets',
        actions: assign(({ context, event }) => ({ ...answered, maxConnections: event.maxConnections ?? context.maxConnections })),
      },
    },
  }),
  generatingSecrets: wizard.createStateConfig({
    meta: { title: 'Generating and checking the secrets', step: 3 },
    invoke: {
      id: 'generateSecrets',
      src: 'secrets.generateSupabase@1',
      input: ({ context }) => ({ name: need(context.name, 'name') }),
      onDone: [
        { guard: 'onlySecretsChange', target: 'planning', actions: assign(({ event }) => ({ secrets: event.output })) },
        { target: 'smtp', actions: assign(({ event }) => ({ secrets: event.output })) },
      ],
      onError: { target: 'secrets', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),

  // 4 smtp
  smtp: wizard.createStateConfig({
    meta: { title: 'Which mail server?', step: 4, checkpoint: 'smtp', events: { smtp: events.smtp, skipSmtp: events.skipSmtp } },
    on: {
      smtp: {
        target: 'testingSmtp',
        actions: assign(({ event: { host, port, user, pass, adminEmail, senderName } }) => ({
          ...answered,
          smtp: { host, port, user, pass, adminEmail, senderName },
        })),
      },
      skipSmtp: [
        { guard: 'onlySmtpChanges', target: 'planning', actions: assign(({ context }) => withoutSmtp(context)) },
        { target: 'domain', actions: assign(({ context }) => withoutSmtp(context)) },
      ],
    },
  }),
  testingSmtp: wizard.createStateConfig({
    meta: { title: 'Testing the mail server', step: 4 },
    invoke: {
      id: 'testSmtp',
      src: 'smtp.verify@1',
      input: ({ context }) => ({ dokploy: need(context.dokploy, 'dokploy'), ...need(context.smtp, 'mail server') }),
      onDone: [
        {
          guard: 'onlySmtpChanges',
          target: 'planning',
          actions: assign(({ context, event }) => withSmtp(context, event.output.warnings)),
        },
        { target: 'domain', actions: assign(({ context, event }) => withSmtp(context, event.output.warnings)) },
      ],
      onError: {
        target: 'smtp',
        actions: assign(({ event }) => ({ error: toRunError(event.error), smtp: null, smtpAnswered: false })),
      },
    },
  }),

  // 5 domain
  domain: wizard.createStateConfig({
    meta: { title: 'Which domain and certificate?', step: 5, checkpoint: 'domain', events: { domain: events.domain } },
    on: {
      domain: {
        target: 'checkingDomain',
        actions: assign(({ event }) => ({
          ...answered,
          domain: {
            host: event.host,
            siteUrl: event.siteUrl ?? null,
            redirectUrls: event.redirectUrls ?? [],
            certificate: event.certificate ?? 'letsencrypt',
            acceptUnresolved: event.acceptUnresolved ?? false,
          },
        })),
      },
    },
  }),
  checkingDomain: wizard.createStateConfig({
    meta: { title: 'Checking the domain', step: 5 },
    invoke: {
      id: 'checkDomain',
      src: 'dns.checkDomain@1',
      input: ({ context }) => {
        const { host, certificate, acceptUnresolved } = need(context.domain, 'domain');
        const { serverIp, letsEncryptEmail } = need(context.connection, 'connection');
        return { dokploy: need(context.dokploy, 'dokploy'), host, certificate, acceptUnresolved, serverIp, letsEncryptEmail };
      },
      onDone: {
        target: 'planning',
        actions: assign(({ context, event }) => ({
          warnings: addWarnings(dropWarnings(context.warnings, 'DOMAIN_UNPROVEN', 'HTTP_ONLY'), event.output.warnings),
        })),
      },
      onError: { target: 'domain', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  planning: wizard.createStateConfig({
    meta: { title: 'Building the plan', step: 5 },
    invoke: {
      id: 'plan',
      src: 'supabase.planChange@1',
      input: ({ context }) => {
        const { references, poolerTenantId } = need(context.secrets, 'secrets');
        const { acceptUnresolved: _, ...domain } = need(context.domain, 'domain');
        const { artifact, sha256 } = need(context.template, 'template');
        return {
          dokploy: need(context.dokploy, 'dokploy'),
          serverId: context.serverId,
          name: need(context.name, 'name'),
          template: { artifact, sha256 },
          maxConnections: context.maxConnections,
          references,
          poolerTenantId,
          smtp: context.smtp,
          domain,
        };
      },
      onDone: {
        target: 'review',
        actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash, changing: false })),
      },
      onError: { target: 'domain', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),

  // 6 review
  review: wizard.createStateConfig({
    meta: { title: 'Review the plan', step: 6, checkpoint: 'review', events: { approve: events.approve, change: events.change } },
    on: {
      approve: { target: 'creatingProject', actions: assign(answered) },
      change: [
        {
          guard: ({ event }) => event.step === 'name',
          target: 'name',
          actions: assign({ ...answered, changing: true, plan: null, planHash: null }),
        },
        {
          guard: ({ event }) => event.step === 'secrets',
          target: 'secrets',
          actions: assign({ ...answered, changing: true, plan: null, planHash: null }),
        },
        {
          guard: ({ event }) => event.step === 'smtp',
          target: 'smtp',
          actions: assign({ ...answered, changing: true, plan: null, planHash: null }),
        },
        {
          guard: ({ event }) => event.step === 'domain',
          target: 'domain',
          actions: assign({ ...answered, changing: true, plan: null, planHash: null }),
        },
      ],
    },
  }),
};
