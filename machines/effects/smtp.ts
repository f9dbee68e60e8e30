import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { warning } from './shapes.ts';

export const smtpPort = z.union([z.literal(587), z.literal(465), z.literal(25)]);

/** Says EHLO, starts TLS and logs in; sends no mail. Placeholder settings are refused. */
export const verifySmtp = defineEffect({
  name: 'smtp.verify@1',
  title: 'Test the mail server',
  readOnly: true,
  timeoutMs: 40_000,
  deadlineMs: 60_000,
  retry: { attempts: 2, baseMs: 500, maxMs: 2_000 },
  input: z.object({
    /** Its stored ways to reach hosts (--ca, --resolve) hold for the mail server too. */
    dokploy: z.string(),
    host: z.string(),
    port: smtpPort,
    user: z.string(),
    /** Secret reference. */
    pass: z.string(),
    adminEmail: z.string(),
    senderName: z.string(),
  }),
  output: z.object({ verified: z.literal(true), warnings: z.array(warning) }),
});
