/**
 * The doctor: facts in, findings out. Invariants:
 * 1. Pure: the same facts at the same time give the same findings.
 * 2. No finding holds a secret: values are masked where their name or form says so.
 * 3. A fact that was not looked at gives no finding and stands in `notLookedAt`; one that could not be found out gives UNKNOWN.
 */
import type { Facts } from './facts.ts';
import { type Counts, countFindings, type Finding, sortFindings, summarize } from './findings.ts';
import type { Generation } from './generations.ts';
import { lookAt, type Rule } from './look.ts';
import { bridgeRules } from './rules/bridges.ts';
import { databaseRules } from './rules/database.ts';
import { domainRules } from './rules/domains.ts';
import { keySetRules } from './rules/key-sets.ts';
import { keyRules } from './rules/keys.ts';
import { liveRules } from './rules/live.ts';
import { poolerRules, realtimeRules } from './rules/pooler.ts';
import { portRules } from './rules/ports.ts';
import { secretRules } from './rules/secrets.ts';
import { smtpRules } from './rules/smtp.ts';
import { urlRules } from './rules/urls.ts';
import { variableRules } from './rules/variables.ts';
import type { Hmac } from './tokens.ts';
import { withCommand } from './workflows.ts';

export type Diagnosis = {
  generation: Generation;
  /** Worst first. */
  findings: Finding[];
  counts: Counts;
  /** `5 findings, 2 critical: …`. */
  summary: string;
  /** Parts of the instance that nobody showed to the doctor. */
  notLookedAt: string[];
};

const rules: readonly Rule[] = [
  ...variableRules,
  ...keyRules,
  ...keySetRules,
  ...secretRules,
  ...urlRules,
  ...domainRules,
  ...databaseRules,
  ...poolerRules,
  ...realtimeRules,
  ...portRules,
  ...bridgeRules,
  ...smtpRules,
  ...liveRules,
];

/** Runs every rule; `now` in ms since the epoch. With `target` a fix names the workflow that carries it out. */
export function diagnose(facts: Facts, { now, hmac, target }: { now: number; hmac: Hmac; target?: string }): Diagnosis {
  const look = lookAt(facts, now, hmac);
  const found = sortFindings(rules.flatMap((rule) => rule(look)));
  const findings = target === undefined ? found : found.map((finding) => withCommand(finding, target));
  return {
    generation: look.generation,
    findings,
    counts: countFindings(findings),
    summary: summarize(findings),
    notLookedAt: notLookedAt(facts),
  };
}

/** True when something is wrong that keeps the instance from working or from being safe. */
export function isSick({ counts }: Pick<Diagnosis, 'counts'>): boolean {
  return counts.critical > 0 || counts.error > 0;
}

function notLookedAt(facts: Facts): string[] {
  const parts = {
    'compose file': facts.compose,
    domains: facts.domains,
    containers: facts.containers,
    certificate: facts.certificate,
    'live checks': facts.live,
  };
  return Object.entries(parts).flatMap(([name, fact]) => (fact === null ? [name] : []));
}
