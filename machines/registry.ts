import type { AnyStateMachine } from 'xstate';
import type { z } from 'zod';
import { setupSupabaseMachine } from './setup-supabase.ts';
import { startInput } from './wizard-events.ts';

/** A workflow as it is registered (engine.md V1): the machine and what people and agents are told about it. */
export type WorkflowDefinition = {
  name: string;
  title: string;
  /** What it does, what can go wrong, how long it usually takes. */
  description: string;
  /** Other names under which it may be started. */
  aliases: readonly string[];
  /** Raised by hand when the meaning changes in a way that the hash cannot see. */
  revision: number;
  machine: AnyStateMachine;
  input: z.ZodType;
  /** One line per step, in order. */
  steps: readonly string[];
  /** Context keys that doors may show. */
  show: readonly string[];
};

export const workflows = {
  'setup-supabase': {
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
  },
} as const satisfies Record<string, WorkflowDefinition>;

export type WorkflowName = keyof typeof workflows;
