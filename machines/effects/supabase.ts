import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { certificateKind, planReference, quickRead, warning } from './shapes.ts';

/** One variable that differs from the template; `shown` is masked for secrets. */
export const environmentChange = z.object({
  variable: z.string(),
  change: z.enum(['added', 'changed', 'generated', 'kept-placeholder']),
  shown: z.string(),
});

export const finding = z.object({
  code: z.string(),
  severity: z.enum(['info', 'warning', 'error']),
  /** Variable or file that it is about. */
  at: z.string(),
  say: z.string(),
  fix: z.string().optional(),
});

/** Builds the plan: exact environment, compose text and domain row, as an encrypted artifact (A1). Writes nothing outside. */
export const planChange = defineEffect({
  name: 'supabase.planChange@1',
  title: 'Build the plan',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  input: z.object({
    dokploy: z.string(),
    serverId: z.string().nullable(),
    name: z.string(),
    template: z.object({ artifact: z.string(), sha256: z.string() }),
    maxConnections: z.number().int(),
    /** Environment variable to `secret:<id>`. */
    references: z.record(z.string(), z.string()),
    poolerTenantId: z.string(),
    smtp: z
      .object({
        host: z.string(),
        port: z.number().int(),
        user: z.string(),
        pass: z.string(),
        adminEmail: z.string(),
        senderName: z.string(),
      })
      .nullable(),
    domain: z.object({
      host: z.string(),
      siteUrl: z.string().nullable(),
      redirectUrls: z.array(z.string()),
      certificate: certificateKind,
    }),
  }),
  output: planReference.extend({
    summary: z.array(environmentChange),
    patches: z.array(z.string()),
    findings: z.array(finding),
    services: z.array(z.string()),
    postgres: z.object({ image: z.string(), tag: z.string(), major: z.number().int().nullable() }).nullable(),
    url: z.string(),
  }),
});

/** One live check; `ok` is null when it was not run, which is never counted as passed. */
export const liveCheck = z.object({ name: z.string(), ok: z.boolean().nullable(), side: z.string(), say: z.string() });

/** Proves the instance from outside: certificate first, then the keys. Keys never travel over an untrusted certificate. */
export const verifyInstance = defineEffect({
  name: 'supabase.verifyInstance@1',
  title: 'Prove the instance with live requests',
  readOnly: true,
  timeoutMs: 3 * 60_000,
  deadlineMs: 5 * 60_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 5_000 },
  input: z.object({
    dokploy: z.string(),
    host: z.string(),
    certificate: certificateKind,
    anonKey: z.string(),
    serviceRoleKey: z.string(),
  }),
  output: z.object({
    verdict: z.enum(['passed', 'failed', 'certificatePending']),
    checks: z.array(liveCheck),
    warnings: z.array(warning),
    postgresMajor: z.number().int().nullable(),
    maxConnections: z.number().int().nullable(),
  }),
});
