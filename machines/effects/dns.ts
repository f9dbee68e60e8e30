import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { certificateKind, quickRead, warning } from './shapes.ts';

/** Proves that a host may be used: it resolves to the serving machine, no other service has it, a certificate can be had. */
export const checkDomain = defineEffect({
  name: 'dns.checkDomain@1',
  title: 'Check the domain',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  input: z.object({
    dokploy: z.string(),
    host: z.string(),
    certificate: certificateKind,
    acceptUnresolved: z.boolean(),
    /** Address of the machine that will serve the host; null when Dokploy does not know it. */
    serverIp: z.string().nullable(),
    letsEncryptEmail: z.string().nullable(),
  }),
  output: z.object({
    state: z.enum(['points-here', 'elsewhere', 'unresolved', 'cdn-or-unknown', 'local']),
    say: z.string(),
    warnings: z.array(warning),
  }),
});
