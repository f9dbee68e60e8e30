import { z } from 'zod';
import { defineEffect } from './contract.ts';

/** Waits until the host serves a trusted certificate for its name; at most ten minutes. */
export const awaitCertificate = defineEffect({
  name: 'tls.awaitCertificate@1',
  title: 'Wait for the certificate',
  readOnly: true,
  timeoutMs: 11 * 60_000,
  deadlineMs: 12 * 60_000,
  retry: { attempts: 3, baseMs: 1_000, maxMs: 5_000 },
  input: z.object({
    dokploy: z.string(),
    host: z.string(),
    /** How long to wait, in ms. Default 600 000. */
    waitMs: z.number().int().positive().optional(),
  }),
  output: z.object({ issuer: z.string(), expiresAt: z.string(), daysLeft: z.number() }),
});
