import { z } from 'zod';
import { changePlan, changeScope, planInput, planning } from './change.ts';
import { defineEffect } from './contract.ts';
import { certificateKind, isNumericHost, quickRead } from './shapes.ts';

const hostName = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
    error: 'give a host name only, in small letters, such as supabase.example.com (no https://, no path)',
  });

export const domainRequest = z.strictObject({
  action: z.enum(['add', 'change', 'remove']),
  host: hostName.describe('The host that is added, changed or removed'),
  newHost: hostName
    .refine((host) => !isNumericHost(host), { error: 'give a name, not an IP address' })
    .optional()
    .describe('change: the host that takes its place'),
  certificate: certificateKind
    .optional()
    .describe('letsencrypt, custom (a certificate that Traefik already has), or none (plain http). Default: letsencrypt, or as it is'),
  toGateway: z.boolean().optional().describe('change: the domain leads to the gateway, port 8000, whatever it led to. Default: as it is'),
  urlsFollow: z.boolean().optional().describe('Addresses in the environment follow the host. Default: true for change, false for add'),
  acceptUnresolved: z
    .boolean()
    .optional()
    .describe('Go on although it is not proven that the name leads to the machine; never enough for letsencrypt'),
});
export type DomainRequest = z.infer<typeof domainRequest>;

/** DNS first: nothing is planned for a name that does not lead to the serving machine. */
export const planDomain = defineEffect({
  name: 'manageDomain.planChange@1',
  title: 'Check the domain and plan its change',
  ...planning,
  input: planInput.extend({ request: domainRequest }),
  output: changePlan.extend({
    // The usual answer first: what is made up from this schema starts with it.
    kind: z.enum(['configuration', 'nothing', 'database', 'both']),
    /** Host whose certificate must be served afterwards; null when none is new. */
    certificateHost: z.string().nullable(),
  }),
});

/** Between plan and write DNS may have changed: no Let's Encrypt before the name leads to the machine. */
export const recheckDomain = defineEffect({
  name: 'manageDomain.recheck@1',
  title: 'Check the domain once more',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  input: changeScope.extend({ request: domainRequest }),
  output: z.object({ say: z.string() }),
});
