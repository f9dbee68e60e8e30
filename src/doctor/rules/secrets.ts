/** Secrets other than the keys: public ones, short ones, ones that break what they are put into. */
import { isSecretVariable } from '../../masking.ts';
import { docs, type Finding, type Severity } from '../findings.ts';
import { atVariable, type Look, type Rule, thenDeploy } from '../look.ts';
import { isPublicSecret, publicSecrets } from '../public-secrets.ts';

export const secretRules: readonly Rule[] = [
  publicOnes,
  strayCharacters,
  lengths,
  sameLogflareTokens,
  deadLogflareKey,
  dashboardPassword,
  databasePassword,
  reused,
];

const newValue = (name: string, shape: string) => `Set ${name} to ${shape} ${thenDeploy}.`;

/** What a new value breaks, where it is more than the value. */
const aftermath: Readonly<Record<string, string>> = {
  JWT_SECRET:
    ' Make ANON_KEY, SERVICE_ROLE_KEY, JWT_KEYS and JWT_JWKS anew with it and set app.settings.jwt_secret in the database; it ends all sessions.',
  POSTGRES_PASSWORD: ' Change the password of the database roles first: the variable alone does not, and every service is then locked out.',
  VAULT_ENC_KEY: ' The pooler’s stored tenant is encrypted with the old one: delete its tenant row too, so that it is made again.',
};

function fixFor(name: string, shape: string): string {
  return newValue(name, shape) + (aftermath[name] ?? '');
}

function publicOnes(look: Look): Finding[] {
  return Object.keys(publicSecrets)
    .filter((name) => isPublicSecret(name, look.env.get(name) ?? ''))
    .map((name) =>
      atVariable(look, name, {
        code: 'SECRET_PUBLIC',
        severity: 'critical',
        say: `${name} is a value that stands in public templates: everybody knows it.`,
        expected: 'A random value of your own',
        fix: fixFor(name, 'a random value of letters and digits'),
        docs: docs.secrets,
      }),
    );
}

const keyMaterial = [
  'JWT_SECRET',
  'ANON_KEY',
  'SERVICE_ROLE_KEY',
  'POSTGRES_PASSWORD',
  'SECRET_KEY_BASE',
  'VAULT_ENC_KEY',
  'PG_META_CRYPTO_KEY',
];

function strayCharacters(look: Look): Finding[] {
  return keyMaterial.flatMap((name) => {
    const stray = strayIn(look.env.get(name) ?? '');
    if (stray === undefined) return [];
    return atVariable(look, name, {
      code: 'SECRET_STRAY_CHARACTERS',
      severity: 'error',
      say: `${name} holds ${stray}, which becomes part of the value for some readers and not for others.`,
      expected: 'The value alone, without quotes, spaces or line breaks in it',
      fix: `Write ${name} again without ${stray} ${thenDeploy}.`,
      docs: docs.variables,
    });
  });
}

function strayIn(value: string): string | undefined {
  if (/\r/.test(value)) return 'a carriage return';
  if (/["'`]/.test(value)) return 'a quote';
  return /\s/.test(value) ? 'white space' : undefined;
}

type Length = { name: string; code: string; severity: Severity; least: number; most?: number; why: string };

const lengthTable: Length[] = [
  { name: 'JWT_SECRET', code: 'JWT_SECRET_SHORT', severity: 'critical', least: 32, why: 'PostgREST refuses it and it can be guessed' },
  { name: 'SECRET_KEY_BASE', code: 'SECRET_KEY_BASE_SHORT', severity: 'error', least: 64, why: 'Realtime and the pooler do not start' },
  {
    name: 'VAULT_ENC_KEY',
    code: 'VAULT_ENC_KEY_LENGTH',
    severity: 'error',
    least: 32,
    most: 32,
    why: 'the pooler needs exactly 32 for its cipher',
  },
  { name: 'PG_META_CRYPTO_KEY', code: 'PG_META_CRYPTO_KEY_SHORT', severity: 'warning', least: 32, why: 'it encrypts connection strings' },
  { name: 'LOGFLARE_PUBLIC_ACCESS_TOKEN', code: 'LOGFLARE_TOKEN_SHORT', severity: 'warning', least: 32, why: 'it opens the log service' },
  { name: 'LOGFLARE_PRIVATE_ACCESS_TOKEN', code: 'LOGFLARE_TOKEN_SHORT', severity: 'warning', least: 32, why: 'it opens the log service' },
  { name: 'POSTGRES_PASSWORD', code: 'POSTGRES_PASSWORD_SHORT', severity: 'warning', least: 16, why: 'it can be guessed' },
  {
    name: 'DASHBOARD_PASSWORD',
    code: 'DASHBOARD_PASSWORD_SHORT',
    severity: 'warning',
    least: 12,
    why: 'Studio stands open on the public address',
  },
];

function lengths(look: Look): Finding[] {
  return lengthTable.flatMap(({ name, code, severity, least, most, why }) => {
    const value = look.env.get(name);
    const length = value?.length ?? 0;
    if (value === undefined || value === '' || isPublicSecret(name, value)) return [];
    if (length >= least && length <= (most ?? Number.POSITIVE_INFINITY)) return [];
    const wanted = most === undefined ? `at least ${least} characters` : `exactly ${least} characters`;
    return atVariable(look, name, {
      code,
      severity,
      say: `${name} has ${length} characters: ${why}.`,
      expected: wanted,
      fix: fixFor(name, `a random value of letters and digits with ${wanted}`),
      docs: docs.secrets,
    });
  });
}

function sameLogflareTokens(look: Look): Finding[] {
  const token = look.env.get('LOGFLARE_PRIVATE_ACCESS_TOKEN') ?? '';
  if (token === '' || token !== look.env.get('LOGFLARE_PUBLIC_ACCESS_TOKEN')) return [];
  return [
    atVariable(look, 'LOGFLARE_PRIVATE_ACCESS_TOKEN', {
      code: 'LOGFLARE_TOKENS_SAME',
      severity: 'error',
      say: 'The private and the public token of the log service are the same.',
      expected: 'Two different tokens',
      fix: newValue('LOGFLARE_PRIVATE_ACCESS_TOKEN', 'a random value of its own with at least 32 characters'),
      docs: docs.secrets,
    }),
  ];
}

function deadLogflareKey(look: Look): Finding[] {
  if (!look.env.has('LOGFLARE_API_KEY') || !look.env.has('LOGFLARE_PRIVATE_ACCESS_TOKEN')) return [];
  return [
    atVariable(look, 'LOGFLARE_API_KEY', {
      code: 'LOGFLARE_API_KEY_DEAD',
      severity: 'info',
      say: 'LOGFLARE_API_KEY is not read any more.',
      expected: 'Only LOGFLARE_PUBLIC_ACCESS_TOKEN and LOGFLARE_PRIVATE_ACCESS_TOKEN',
      fix: `Remove LOGFLARE_API_KEY ${thenDeploy}.`,
      docs: docs.secrets,
    }),
  ];
}

function dashboardPassword(look: Look): Finding[] {
  const name = 'DASHBOARD_PASSWORD';
  const value = look.env.get(name) ?? '';
  if (value === '') return [];
  const fix = newValue(name, 'a random value of letters and digits that starts with a letter');
  const said = { expected: 'Letters and digits, at least one letter', fix, docs: docs.secrets };
  if (!/[A-Za-z]/.test(value)) {
    const say = 'DASHBOARD_PASSWORD has no letter: the gateway reads it as a number and does not start.';
    return [atVariable(look, name, { ...said, code: 'DASHBOARD_PASSWORD_NUMBER', severity: 'error', say })];
  }
  if (/^[\w.-]+$/.test(value)) return [];
  const say = 'DASHBOARD_PASSWORD has special characters, which the gateway’s file may read as syntax.';
  return [atVariable(look, name, { ...said, code: 'DASHBOARD_PASSWORD_CHARACTERS', severity: 'warning', say })];
}

/** It stands raw inside the connection URLs of six services. */
function databasePassword(look: Look): Finding[] {
  const value = look.env.get('POSTGRES_PASSWORD') ?? '';
  if (value === '' || /^[A-Za-z0-9._~-]+$/.test(value) || strayIn(value) !== undefined) return [];
  return [
    atVariable(look, 'POSTGRES_PASSWORD', {
      code: 'PASSWORD_BREAKS_URL',
      severity: 'error',
      say: 'POSTGRES_PASSWORD has characters that break the connection URLs it is put into raw.',
      expected: 'Letters and digits only',
      fix: fixFor('POSTGRES_PASSWORD', 'a random value of letters and digits'),
      docs: docs.secrets,
    }),
  ];
}

function reused(look: Look): Finding[] {
  const seen = new Map<string, string>();
  const findings: Finding[] = [];
  for (const [name, value] of look.env) {
    if (!isSecretVariable(name) || value.length < 12 || isPair(name) || isPublicSecret(name, value)) continue;
    const first = seen.get(value);
    seen.set(value, first ?? name);
    if (first === undefined) continue;
    findings.push(
      atVariable(look, name, {
        code: 'SECRET_REUSED',
        severity: 'warning',
        say: `${name} has the same value as ${first}: whoever learns one knows both.`,
        expected: 'A value of its own',
        fix: fixFor(name, 'a random value of its own'),
        docs: docs.secrets,
      }),
    );
  }
  return findings;
}

/** Pairs that have findings of their own. */
const isPair = (name: string) => /^(ANON_KEY|SERVICE_ROLE_KEY|LOGFLARE_\w+)$/.test(name);
