/**
 * The nine-step wizard (design §7). Invariants:
 * 1. Only assign, raise and cancel; every call outside is an invoke of a contract (R1, R2).
 * 2. No checkpoint between review and verified: new passwords fail on an old data folder (design §7).
 * 3. Writes of step 7 take their content from the plan artifact only; the machine hands on ids that earlier effects returned (A1).
 * 4. An error leads to a state where a person can act, and is kept in `context.error` until the next event.
 */

import { need } from './run-context.ts';
import { askStates } from './wizard-ask.ts';
import { initialContext } from './wizard-context.ts';
import { deployStates } from './wizard-deploy.ts';
import { startInput } from './wizard-events.ts';
import { wizard } from './wizard-setup.ts';
import { verifyStates } from './wizard-verify.ts';
import type { WorkflowDefinition } from './workflow.ts';

export const setupSupabaseMachine = wizard.createMachine({
  id: 'setup-supabase',
  context: ({ input }) => initialContext(input),
  initial: 'starting',
  output: ({ context }) => {
    const handover = need(context.handover, 'handover');
    return {
      ...handover,
      url: need(context.plan, 'plan').url,
      postgresMajor: context.verification?.postgresMajor ?? null,
      checks: context.verification?.checks ?? [],
      warnings: context.warnings,
    };
  },
  states: {
    starting: {
      meta: { title: 'Start' },
      always: [{ guard: 'dokployGiven', target: 'checkingDokploy' }, { target: 'connect' }],
    },
    ...askStates,
    ...deployStates,
    ...verifyStates,
  },
});

export const setupSupabase = {
  name: 'setup-supabase',
  title: 'Set up Supabase on Dokploy',
  description:
    "Deploys a self-hosted Supabase on a Dokploy in nine steps and proves it with live requests. Nothing is created before the review is approved by a person; until the handover everything can be taken back. Risks: Let's Encrypt needs the domain to lead to the machine first; a first start on a small machine may need several minutes. Usual duration: 3 to 10 minutes after the approval.",
  aliases: ['dokploy_setup_wizard', 'dokploy_deploy_supabase', 'setup_wizard', 'deploy_supabase'],
  revision: 1,
  machine: setupSupabaseMachine,
  input: startInput,
  steps: [
    'connect: choose a registered Dokploy; it is checked and the template fetched',
    'name: name the project; it must be free',
    'secrets: choose max_connections; all secrets and keys are made and checked',
    'smtp: set and test a mail server, or skip it knowingly',
    'domain: domain, certificate and addresses',
    'review: the plan as a difference against the template; needs approval',
    'deploy: project, service, template, environment, domain, deployment, health',
    'verify: certificate, keys, signature, storage and SQL by live requests',
    'handover: the instance becomes a target; the point of no return',
  ],
  show: [
    'dokploy',
    'proposedName',
    'connection',
    'template',
    'name',
    'environment',
    'maxConnections',
    'secrets',
    'smtp',
    'domain',
    'plan',
    'project',
    'service',
    'deployment',
    'health',
    'failedAt',
    'verification',
  ],
} as const satisfies WorkflowDefinition;
