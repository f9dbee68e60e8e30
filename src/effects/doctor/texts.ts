/** Facts from texts that somebody hands over: an environment, a compose file, rows of domains. */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { type Facts, onlyEnvironment } from '../../doctor/facts.ts';
import type { Hmac } from '../../doctor/tokens.ts';
import { AppError } from '../../errors.ts';
import { readComposeView } from './compose-view.ts';

/** HMAC-SHA256 as tokens use it. */
export const hmacSha256: Hmac = (secret, text) => createHmac('sha256', secret).update(text).digest('base64url');

/** As Dokploy answers them; what is left out is what Dokploy would make of it. */
const domainRow = z.looseObject({
  host: z.string().min(1),
  https: z.boolean().default(false),
  port: z.number().nullable().default(null),
  path: z.string().nullable().default(null),
  serviceName: z.string().nullable().default(null),
  certificateType: z.string().default('none'),
});

/** Reads the texts. Throws DOMAINS_UNREADABLE when the rows are not those of a Dokploy. */
export function factsOfTexts({ env, compose, domains }: { env: string; compose?: string; domains?: string }): Facts {
  return {
    ...onlyEnvironment(env),
    ...(compose === undefined ? {} : { compose: readComposeView(compose) }),
    ...(domains === undefined ? {} : { domains: readDomains(domains) }),
  };
}

function readDomains(text: string): Facts['domains'] {
  const rows = z.array(domainRow).safeParse(parseJson(text));
  if (rows.success) return rows.data.map(toDomain);
  throw new AppError('DOMAINS_UNREADABLE', {
    message: 'The file of domains is no JSON list of domains.',
    fix: 'Give what domain.byComposeId of Dokploy answers, such as [{"host": "…", "https": true, "port": 8000, "serviceName": "kong", "certificateType": "letsencrypt"}].',
  });
}

/** The part of a domain row that the doctor looks at. */
export function toDomain({ host, https, port, path, serviceName, certificateType }: z.infer<typeof domainRow>) {
  return { host, https, port, path, serviceName, certificateType };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
