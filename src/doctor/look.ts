/** One look at the facts, prepared once for all rules. Pure. */
import { type EnvText, envVariables, parseEnv } from '../env-text.ts';
import { maskValue } from '../masking.ts';
import type { ComposeFacts, Facts } from './facts.ts';
import type { Finding, Severity } from './findings.ts';
import { type Generation, generationOf } from './generations.ts';
import { type Hmac, readToken, type Token } from './tokens.ts';

export type Look = {
  facts: Facts;
  /** Ms since the epoch. */
  now: number;
  hmac: Hmac;
  text: EnvText;
  env: ReadonlyMap<string, string>;
  generation: Generation;
  /** Null when there is none or it cannot be read. */
  compose: ComposeFacts | null;
  anon: Token | undefined;
  service: Token | undefined;
  /** Host of the first public route, else of SUPABASE_PUBLIC_URL; null when neither says. */
  publicHost: string | null;
};

/** A rule: the findings of one idea, an empty list when all is well or nothing is known. */
export type Rule = (look: Look) => Finding[];

export function lookAt(facts: Facts, now: number, hmac: Hmac): Look {
  const text = parseEnv(facts.env);
  const env = envVariables(text);
  const url = readUrl(env.get('SUPABASE_PUBLIC_URL') ?? '');
  const gateway = facts.domains?.find((domain) => isGateway(domain.serviceName));
  return {
    facts,
    now,
    hmac,
    text,
    env,
    generation: generationOf(env),
    compose: facts.compose === 'unreadable' ? null : facts.compose,
    anon: readToken(env.get('ANON_KEY') ?? ''),
    service: readToken(env.get('SERVICE_ROLE_KEY') ?? ''),
    publicHost: gateway?.host ?? (url && !isLocalHost(url.hostname) ? url.host : null),
  };
}

/** What a finding about a variable needs besides its code. */
export type Said = { code: string; severity: Severity; say: string; expected: string; fix: string; docs: string };

/** A finding about a variable; its value is shown as far as it may be. */
export function atVariable({ env }: Look, variable: string, said: Said, shown?: string): Finding {
  const value = env.get(variable);
  return { ...said, at: variable, current: shown ?? (value === undefined ? '(unset)' : maskValue(variable, value)) };
}

/** The step after every change of the environment; a restart keeps the old one. */
export const thenDeploy = 'in the environment of the service, then deploy it again; a restart keeps the old environment';

export function setVariable(variable: string, value: string): string {
  return `Set ${variable}=${value} ${thenDeploy}.`;
}

export function isGateway(service: string | null): boolean {
  return service === 'kong' || service === 'api-gw' || service === 'envoy';
}

/** Names that only one machine serves: they are allowed over http. */
export function isLocalHost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || /^127(\.\d{1,3}){3}$/.test(host) || host === '[::1]';
}

/** Undefined for text that is no http or https address. */
export function readUrl(text: string): URL | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text);
}

/** An address without what may be secret in it: no credentials, no query. */
export function showUrl(text: string): string {
  const plain = text.replace(/\/\/[^/@\s]*@/, '//…@').replace(/[?#].*$/, '?…');
  return maskValue('URL', plain);
}
