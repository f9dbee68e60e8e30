/** What the doctor says. Pure. Invariant: `say`, `expected` and `fix` are our own sentences; text from outside stands in `current` only, masked. */
import { z } from 'zod';

export const severities = ['critical', 'error', 'warning', 'info'] as const;
export type Severity = (typeof severities)[number];

/** One result: what is wrong where, what is there (masked), what should be, and the exact next step. */
export const finding = z.object({
  code: z.string(),
  severity: z.enum(severities),
  /** Variable, service, route or live check. */
  at: z.string(),
  say: z.string(),
  current: z.string(),
  expected: z.string(),
  fix: z.string(),
  docs: z.string(),
});
export type Finding = z.infer<typeof finding>;

export type Counts = Record<Severity, number>;

/** Worst first; within a severity in the order in which the rules stand. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
}

export function countFindings(findings: readonly Finding[]): Counts {
  const counts: Counts = { critical: 0, error: 0, warning: 0, info: 0 };
  for (const { severity } of findings) counts[severity] += 1;
  return counts;
}

/** `5 findings, 2 critical: KEYS_IDENTICAL, JWT_SECRET_SHORT`; without a critical one it names the errors, else says there is neither. */
export function summarize(findings: readonly Finding[]): string {
  const counts = countFindings(findings);
  const codes = (severity: Severity) => [...new Set(findings.filter((each) => each.severity === severity).map((each) => each.code))];
  const head = `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}, ${counts.critical} critical`;
  const named = counts.critical > 0 ? codes('critical') : codes('error');
  const errors = counts.error > 0 ? `, ${counts.error} ${counts.error === 1 ? 'error' : 'errors'}` : '';
  return named.length === 0 ? `${head}, no error` : `${head}${errors}: ${named.join(', ')}`;
}

/** Public documentation that explains a group of findings. */
export const docs = {
  keys: 'https://supabase.com/docs/guides/self-hosting/docker',
  secrets: 'https://supabase.com/docs/guides/self-hosting/docker',
  urls: 'https://supabase.com/docs/guides/self-hosting/docker',
  smtp: 'https://supabase.com/docs/guides/auth/auth-smtp',
  domains: 'https://docs.dokploy.com/docs/core/domains',
  database: 'https://supabase.com/docs/guides/self-hosting/docker',
  pooler: 'https://supabase.com/docs/guides/database/connecting-to-postgres',
  realtime: 'https://supabase.com/docs/guides/self-hosting/realtime/config',
  compose: 'https://docs.dokploy.com/docs/core/docker-compose',
  variables: 'https://docs.dokploy.com/docs/core/variables',
} as const;
