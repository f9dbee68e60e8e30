import type { z } from 'zod';
import type {
  awaitHealth,
  checkConnection,
  configureDomain,
  createCompose,
  createProject,
  deployCompose,
  importTemplate,
  saveEnvironment,
} from './effects/dokploy.ts';
import type { generateSupabaseSecrets } from './effects/secrets.ts';
import type { Warning } from './effects/shapes.ts';
import type { planChange, verifyInstance } from './effects/supabase.ts';
import type { registerTarget } from './effects/target.ts';
import type { fetchTemplate } from './effects/template.ts';
import type { RunError } from './run-context.ts';
import type { environments, startInput } from './wizard-events.ts';

/**
 * What a run of the wizard knows. Invariants:
 * 1. Plain JSON (P5); secrets are references only.
 * 2. `error` is the last ErrorRecord; the next event of a person clears it.
 * 3. `warnings` holds each code once, the newest text winning.
 */

type Out<C extends { output: z.ZodType }> = z.infer<C['output']>;

export type SmtpChoice = { host: string; port: 587 | 465 | 25; user: string; pass: string; adminEmail: string; senderName: string };

export type DomainChoice = {
  host: string;
  siteUrl: string | null;
  redirectUrls: string[];
  certificate: 'letsencrypt' | 'none' | 'custom';
  acceptUnresolved: boolean;
};

/** States of step 7, in order; `failedAt` names the one to go back into. */
export type DeployState =
  | 'creatingProject'
  | 'creatingService'
  | 'importingTemplate'
  | 'writingEnvironment'
  | 'routingDomain'
  | 'deploying'
  | 'awaitingHealth';

export type WizardContext = {
  dokploy: string | null;
  serverId: string | null;
  /** A name given at the start: shown at the name step, never taken without asking (rollback needs that resting point). */
  proposedName: string | null;
  connection: Out<typeof checkConnection> | null;
  template: Out<typeof fetchTemplate> | null;
  name: string | null;
  environment: z.infer<typeof environments>;
  maxConnections: number;
  secrets: Out<typeof generateSupabaseSecrets> | null;
  smtp: SmtpChoice | null;
  smtpAnswered: boolean;
  domain: DomainChoice | null;
  plan: Out<typeof planChange> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  /** True while one answer is changed from the review: the later answers stand. */
  changing: boolean;
  project: Out<typeof createProject> | null;
  service: Out<typeof createCompose> | null;
  imported: Out<typeof importTemplate> | null;
  written: Out<typeof saveEnvironment> | null;
  route: Out<typeof configureDomain> | null;
  deployment: Out<typeof deployCompose> | null;
  health: Out<typeof awaitHealth> | null;
  failedAt: DeployState | null;
  verification: Out<typeof verifyInstance> | null;
  handover: Out<typeof registerTarget> | null;
  error: RunError | null;
  warnings: Warning[];
};

export function initialContext(input: z.infer<typeof startInput>): WizardContext {
  return {
    dokploy: input.dokploy ?? null,
    serverId: null,
    proposedName: input.name ?? null,
    connection: null,
    template: null,
    name: null,
    environment: 'development',
    maxConnections: 100,
    secrets: null,
    smtp: null,
    smtpAnswered: false,
    domain: null,
    plan: null,
    planHash: null,
    changing: false,
    project: null,
    service: null,
    imported: null,
    written: null,
    route: null,
    deployment: null,
    health: null,
    failedAt: null,
    verification: null,
    handover: null,
    error: null,
    warnings: [],
  };
}

/** Adds warnings; a code stands once, its newest text wins and keeps its place. */
export function addWarnings(known: readonly Warning[], more: readonly Warning[]): Warning[] {
  const byCode = new Map(known.map((warning) => [warning.code, warning]));
  for (const warning of more) byCode.set(warning.code, warning);
  return [...byCode.values()];
}

export function dropWarnings(known: readonly Warning[], ...codes: string[]): Warning[] {
  return known.filter((warning) => !codes.includes(warning.code));
}

export const wizardWarnings = {
  smtpSkipped: { code: 'SMTP_SKIPPED', say: 'No mail server is set: confirmation and recovery mails will not leave this instance.' },
  certificateMissing: {
    code: 'CERTIFICATE_MISSING',
    say: 'No trusted certificate was served, so the keys were not proven by live requests.',
  },
  verificationFailed: { code: 'VERIFICATION_FAILED', say: 'Live checks failed and were accepted by a person; the result names them.' },
} as const satisfies Record<string, Warning>;
