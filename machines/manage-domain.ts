/**
 * Domain, https, certificate, and the addresses that follow. Invariants:
 * 1. DNS first, at the plan and again right before the write: Let's Encrypt is never asked for a name that leads elsewhere.
 * 2. A certificate that does not come never takes a healthy instance back: a person decides.
 */
import { assign } from 'xstate';
import { z } from 'zod';
import { beginChange, type ChangeContext, changeOf, changeOutput } from './change-context.ts';
import { changeEvents } from './change-events.ts';
import { answeredChange as answered, change, requestOf } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, lookStates, planningState } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { domainRequest } from './effects/manage-domain.ts';
import { need, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const domainInput = z.strictObject({ target: targetName, ...domainRequest.shape });

const certificateHostOf = ({ plan }: Pick<ChangeContext, 'plan'>): string | null => {
  const host: unknown = plan && 'certificateHost' in plan ? plan.certificateHost : null;
  return typeof host === 'string' ? host : null;
};

const { review, ...otherLooks } = lookStates;
const { awaitingHealth: _, ...otherApplies } = applyStates;

export const manageDomainMachine = change.createMachine({
  id: 'manage-domain',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...otherLooks,
    planning: planningState('Checking the domain', 'manageDomain.planChange@1', domainRequest),
    review: { ...review, on: { ...review.on, approve: { target: 'rechecking', actions: assign(answered) } } },
    rechecking: {
      meta: { title: 'Checking the domain once more', step: 4 },
      invoke: {
        id: 'recheck',
        src: 'manageDomain.recheck@1',
        input: ({ context }) => ({ ...changeOf(context), request: requestOf(domainRequest, context) }),
        onDone: { target: 'writing' },
        onError: { target: 'review', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    ...otherApplies,
    awaitingHealth: change.createStateConfig({
      meta: { title: 'Waiting until every service is healthy', step: 4 },
      invoke: {
        id: 'awaitHealth',
        src: 'dokploy.awaitHealth@1',
        input: ({ context }) => {
          const { dokploy, composeId, appName, plan, planHash } = changeOf(context);
          return { dokploy, composeId, appName, plan, planHash, deploymentId: need(context.deployment, 'deployment').deploymentId };
        },
        onDone: [
          { guard: 'databaseToo', target: 'storingSecret', actions: assign(({ event }) => ({ health: event.output })) },
          {
            guard: ({ context }) => certificateHostOf(context) !== null,
            target: 'awaitingCertificate',
            actions: assign(({ event }) => ({ health: event.output })),
          },
          { target: 'proving', actions: assign(({ event }) => ({ health: event.output })) },
        ],
        onError: [
          {
            guard: 'wasGreen',
            target: 'returning',
            actions: assign(({ event }) => ({ failedAt: 'awaitingHealth' as const, error: toRunError(event.error) })),
          },
          {
            target: 'changeFailed',
            actions: assign(({ event }) => ({ failedAt: 'awaitingHealth' as const, error: toRunError(event.error) })),
          },
        ],
      },
    }),
    awaitingCertificate: {
      meta: { title: 'Waiting for the certificate', step: 5 },
      invoke: {
        id: 'awaitCertificate',
        src: 'tls.awaitCertificate@1',
        input: ({ context }) => ({
          dokploy: need(context.service, 'service').dokploy,
          host: need(certificateHostOf(context), 'host with a new certificate'),
        }),
        onDone: { target: 'proving' },
        onError: { target: 'certificateMissing', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    certificateMissing: {
      meta: {
        title: 'No trusted certificate is served',
        step: 5,
        events: { lookAgain: certificateEvents().lookAgain, acceptWithWarning: certificateEvents().acceptWithWarning },
        rollback: { to: 'review', when: 'offered' },
      },
      on: {
        lookAgain: { target: 'awaitingCertificate', actions: assign(answered) },
        acceptWithWarning: {
          target: 'noting',
          actions: assign(({ context }) => ({
            ...answered,
            warnings: [
              ...context.warnings,
              {
                code: 'CERTIFICATE_MISSING',
                say: 'No trusted certificate was served, so the instance was not proven under its new domain.',
              },
            ],
          })),
        },
      },
    },
    ...endStates,
  },
});

function certificateEvents() {
  return {
    lookAgain: { ...changeEvents.lookAgain, title: 'Wait for the certificate again' },
    acceptWithWarning: {
      ...changeEvents.acceptWithWarning,
      title: 'Keep the domain without a trusted certificate',
      confirm: 'Keep the new domain although no trusted certificate is served for it; clients will refuse it until one is.',
    },
  };
}

export const manageDomain = {
  name: 'manage-domain',
  title: 'Add, change or remove a domain',
  description:
    'Adds, changes or removes a domain of a running instance: route, https, certificate, and the addresses in the environment that follow. The name must lead to the serving machine before anything is written. Risks: clients that use an old host must get the new one; the named containers restart. A certificate that does not come takes nothing back by itself. Usual duration: 2 to 10 minutes after the approval.',
  aliases: ['manage_domain', 'dokploy_manage_domain'],
  revision: 1,
  machine: manageDomainMachine,
  input: domainInput,
  steps: changeSteps('DNS is checked, then route, certificate and addresses are planned'),
  show: [...changeShow],
} as const satisfies WorkflowDefinition;
