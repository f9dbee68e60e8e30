import { z } from 'zod';
import { noPayload, secretReference } from './effects/meta.ts';
import { projectName } from './effects/project-name.ts';
import { certificateKind, dokployName, isNumericHost } from './effects/shapes.ts';
import { smtpPort } from './effects/smtp.ts';

/** Payloads of the wizard's events: what a person or agent may send, refused with a sentence where it is wrong. */

export const environments = z.enum(['development', 'staging', 'production']);

const hostName = z
  .string()
  .max(253)
  .regex(/^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
    error: 'give a host name only, in small letters, such as supabase.example.com (no https://, no path, no underscore)',
  });

/** Certificates and DNS know names only; an address in disguise would resolve without anybody's DNS. */
const instanceHost = hostName.refine((host) => !isNumericHost(host), { error: 'give a name, not an IP address' });

const webUrl = z
  .string()
  .max(500)
  .regex(/^https?:\/\/[^\s,/?#@]+(\/[^\s,]*)?$/, { error: 'give a web address such as https://app.example.com' });

const redirectUrl = z
  .string()
  .max(500)
  .regex(/^[a-z][a-z0-9+.-]*:\/\/[^\s,]+$/i, {
    error: 'give an address such as https://app.example.com/** or myapp://callback, without commas or spaces',
  });

const mailAddress = z
  .string()
  .max(254)
  .regex(/^[^\s@,<>"]+@[^\s@,<>"]+\.[^\s@,<>"]+$/, { error: 'give a mail address such as hello@example.com' });

export const connectPayload = z.strictObject({
  dokploy: dokployName,
  serverId: z.string().min(1).max(64).optional().describe('Id of a remote server of this Dokploy; left out, its own machine is used'),
});

export const namePayload = z.strictObject({
  name: projectName,
  environment: environments.optional().describe('What the instance is for; becomes a tag of the target. Default: development'),
});

export const generatePayload = z.strictObject({
  maxConnections: z.int().min(20).max(1000).optional().describe('max_connections of Postgres, 20 to 1000. Default: 100'),
});

export const smtpPayload = z.strictObject({
  host: hostName.describe('Mail server, such as smtp.example.com'),
  port: smtpPort.describe('587 (STARTTLS), 465 (TLS) or 25'),
  user: z.string().min(1).max(200).describe('User name at the mail server'),
  pass: secretReference,
  adminEmail: mailAddress.describe('Sender address of the mails'),
  senderName: z
    .string()
    .min(1)
    .max(100)
    .regex(/^[^\r\n]*$/)
    .describe('Sender name that people see'),
});

export const domainPayload = z.strictObject({
  host: instanceHost.describe('Host name of the instance, such as supabase.example.com'),
  siteUrl: webUrl.optional().describe('Address of your application; mail links lead there. Default: http://localhost:3000'),
  redirectUrls: z.array(redirectUrl).max(50).optional().describe('Further addresses to which a login may return; globs are allowed'),
  certificate: certificateKind
    .optional()
    .describe('letsencrypt (default), custom (a certificate that your Traefik already has), or none (plain http)'),
  acceptUnresolved: z
    .boolean()
    .optional()
    .describe(
      'Go on although it cannot be proven that the name leads to the serving machine; never enough for letsencrypt with a name that does not resolve',
    ),
});

export const changePayload = z.strictObject({
  step: z.enum(['name', 'secrets', 'smtp', 'domain']).describe('The step to go back to'),
});

export const retryPayload = z.strictObject({
  redeploy: z
    .boolean()
    .optional()
    .describe('After a failed health check: queue a new deployment instead of only looking again. Default: false'),
});

export const startInput = z.strictObject({
  dokploy: dokployName.optional(),
  name: projectName.optional(),
});

export type WizardEvent =
  | ({ type: 'connect' } & z.infer<typeof connectPayload>)
  | ({ type: 'name' } & z.infer<typeof namePayload>)
  | ({ type: 'generate' } & z.infer<typeof generatePayload>)
  | ({ type: 'smtp' } & z.infer<typeof smtpPayload>)
  | { type: 'skipSmtp' }
  | ({ type: 'domain' } & z.infer<typeof domainPayload>)
  | { type: 'approve' }
  | ({ type: 'change' } & z.infer<typeof changePayload>)
  | ({ type: 'retry' } & z.infer<typeof retryPayload>)
  | { type: 'continueWithoutCertificate' }
  | { type: 'acceptWithWarning' }
  | { type: 'handover' };

/** Titles, payloads and confirmations, by event; states pick from here so that an event means the same everywhere. */
export const events = {
  connect: { title: 'Choose the Dokploy to deploy on', payload: connectPayload },
  name: { title: 'Name the project', payload: namePayload },
  generate: { title: 'Generate the secrets', payload: generatePayload },
  smtp: { title: 'Set the mail server', payload: smtpPayload, secret: ['pass'] },
  skipSmtp: { title: 'Go on without a mail server: no sign-up or recovery mail will leave', payload: noPayload },
  domain: { title: 'Set domain and certificate', payload: domainPayload },
  approve: {
    title: 'Deploy as planned',
    payload: noPayload,
    confirm: 'Create a project and a Supabase service on this Dokploy exactly as the plan says, and deploy it.',
  },
  change: { title: 'Change an earlier answer', payload: changePayload },
  retry: { title: 'Try again', payload: retryPayload },
  retryCheck: { title: 'Check again', payload: noPayload },
  continueWithoutCertificate: {
    title: 'Go on without a trusted certificate',
    payload: noPayload,
    confirm: 'Finish although no trusted certificate is served; the keys are then not proven by live requests.',
  },
  acceptWithWarning: {
    title: 'Accept the failed checks',
    payload: noPayload,
    confirm: 'Finish although live checks of this instance failed.',
  },
  handover: { title: 'Hand the instance over; after this the wizard can no longer take it back', payload: noPayload },
} as const;
