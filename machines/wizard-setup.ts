import { setup } from 'xstate';
import type { z } from 'zod';
import { actorOf } from './effects/contract.ts';
import type { StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import type { registerTarget } from './effects/target.ts';
import { need } from './run-context.ts';
import type { WizardContext } from './wizard-context.ts';
import type { startInput, WizardEvent } from './wizard-events.ts';

export type WizardOutput = z.infer<(typeof registerTarget)['output']> & {
  url: string;
  postgresMajor: number | null;
  checks: NonNullable<WizardContext['verification']>['checks'];
  warnings: WizardContext['warnings'];
};

/** Types, contracts and guards of the wizard; its states are made with `wizard.createStateConfig`. */
export const wizard = setup({
  types: {
    input: {} as z.infer<typeof startInput>, // type carriers: XState reads their types, never their values
    context: {} as WizardContext,
    events: {} as WizardEvent,
    output: {} as WizardOutput,
    meta: {} as StateMeta,
  },
  actors: {
    'dokploy.checkConnection@1': actorOf(contracts['dokploy.checkConnection@1']),
    'template.fetch@1': actorOf(contracts['template.fetch@1']),
    'dokploy.checkName@1': actorOf(contracts['dokploy.checkName@1']),
    'secrets.generateSupabase@1': actorOf(contracts['secrets.generateSupabase@1']),
    'smtp.verify@1': actorOf(contracts['smtp.verify@1']),
    'dns.checkDomain@1': actorOf(contracts['dns.checkDomain@1']),
    'supabase.planChange@1': actorOf(contracts['supabase.planChange@1']),
    'dokploy.createProject@1': actorOf(contracts['dokploy.createProject@1']),
    'dokploy.createCompose@1': actorOf(contracts['dokploy.createCompose@1']),
    'dokploy.importTemplate@1': actorOf(contracts['dokploy.importTemplate@1']),
    'dokploy.saveEnvironment@1': actorOf(contracts['dokploy.saveEnvironment@1']),
    'dokploy.configureDomain@1': actorOf(contracts['dokploy.configureDomain@1']),
    'dokploy.deployCompose@1': actorOf(contracts['dokploy.deployCompose@1']),
    'dokploy.awaitHealth@1': actorOf(contracts['dokploy.awaitHealth@1']),
    'supabase.verifyInstance@1': actorOf(contracts['supabase.verifyInstance@1']),
    'tls.awaitCertificate@1': actorOf(contracts['tls.awaitCertificate@1']),
    'target.register@1': actorOf(contracts['target.register@1']),
  },
  guards: {
    dokployGiven: ({ context }) => context.dokploy !== null,
    onlyNameChanges: ({ context }) => context.changing && context.secrets !== null && context.smtpAnswered && context.domain !== null,
    onlySecretsChange: ({ context }) => context.changing && context.smtpAnswered && context.domain !== null,
    onlySmtpChanges: ({ context }) => context.changing && context.domain !== null,
  },
});

/** The approved plan and the project that every write of step 7 is about. */
export const scope = (context: WizardContext) => {
  const plan = need(context.plan, 'plan');
  return { dokploy: need(context.dokploy, 'dokploy'), name: need(context.name, 'name'), plan: plan.plan, planHash: plan.planHash };
};

/** Scope plus the ids that earlier effects returned. */
export const serviceOf = (context: WizardContext) => ({
  ...scope(context),
  projectId: need(context.project, 'project').projectId,
  ...need(context.service, 'service'),
});

/** A person has acted: the last error is answered. */
export const answered = { error: null };
