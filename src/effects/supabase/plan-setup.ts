/**
 * From the template's environment and the answers of the wizard to the environment that will be written. Pure. Invariants:
 * 1. A secret of ours stands in the result as a reference; its value is put in only when the text is written.
 * 2. Lines that need no change stay byte for byte, comments and order included.
 * 3. What stays a placeholder is said: a finding for each, never silence.
 */

import { type EnvEntry, type EnvText, entryValue, envVariables, parseEnv, printEnv, quoteValue } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import { isSecretVariable, maskValue } from '../../masking.ts';
import { secretVariables } from './secrets.ts';

export type PlannedLine = { text: string } | { name: string; value: string } | { name: string; secret: string };

export type SetupChoices = {
  host: string;
  https: boolean;
  siteUrl: string | null;
  redirectUrls: readonly string[];
  smtp: { host: string; port: number; user: string; pass: string; adminEmail: string; senderName: string } | null;
  poolerTenantId: string;
  /** Environment variable to `secret:<id>`. */
  references: Readonly<Record<string, string>>;
};

export type TemplateEnvironment = {
  /** As expanded by Dokploy. */
  lines: readonly string[];
  /** Variables whose value Dokploy made up: they differ between two expansions. */
  generated: ReadonlySet<string>;
  /** Host that Dokploy made up for the gateway; null when it made none. */
  host: string | null;
};

export type Finding = { code: string; severity: 'info' | 'warning' | 'error'; at: string; say: string; fix?: string };
export type EnvironmentChange = { variable: string; change: 'added' | 'changed' | 'generated' | 'kept-placeholder'; shown: string };
export type PlannedEnvironment = { lines: PlannedLine[]; summary: EnvironmentChange[]; findings: Finding[]; url: string };

/** Without these it is no Supabase template. */
const required = ['POSTGRES_PASSWORD', 'JWT_SECRET', 'ANON_KEY', 'SERVICE_ROLE_KEY', 'API_EXTERNAL_URL', 'SUPABASE_PUBLIC_URL'];

const placeholders: Readonly<Record<string, readonly string[]>> = {
  SMTP_ADMIN_EMAIL: ['admin@example.com'],
  SMTP_HOST: ['supabase-mail'],
  SMTP_PORT: ['2500'],
  SMTP_USER: ['fake_mail_user'],
  SMTP_PASS: ['fake_mail_password'],
  SMTP_SENDER_NAME: ['fake_sender'],
  GOOGLE_PROJECT_ID: ['GOOGLE_PROJECT_ID'],
  GOOGLE_PROJECT_NUMBER: ['GOOGLE_PROJECT_NUMBER'],
  POOLER_TENANT_ID: ['your-tenant-id'],
};

/** Builds the environment. Throws TEMPLATE_LACKS_VARIABLE when the template is not one of Supabase. */
export function planEnvironment(template: TemplateEnvironment, choices: SetupChoices): PlannedEnvironment {
  const env = parseEnv(template.lines.join('\n'));
  const known = envVariables(env);
  const missing = required.filter((name) => !known.has(name));
  if (missing.length > 0) throw lacking(missing);
  const url = `${choices.https ? 'https' : 'http'}://${choices.host}`;
  const wishes = wishesOf(known, choices, url);
  const planned = planLines(env, known, wishes, template, choices, url);
  return {
    url,
    ...planned,
    findings: [...planned.findings, ...findingsOf(planned.lines, template, choices, url)],
  };
}

/** The text that is written; `reveal` turns a reference into its value. Only for the moment of writing. */
export async function assembleEnvironment(lines: readonly PlannedLine[], reveal: (reference: string) => Promise<string>): Promise<string> {
  const out: string[] = [];
  for (const line of lines) {
    if ('text' in line) out.push(line.text);
    else {
      const { quote, raw } = quoteValue(line.name, 'secret' in line ? await reveal(line.secret) : line.value);
      out.push(`${line.name}=${quote}${raw}${quote}`);
    }
  }
  return out.join('\n');
}

/** Variables whose value differs between two expansions of the same template. */
export function generatedVariables(first: readonly string[], second: readonly string[]): Set<string> {
  const [one, two] = [first, second].map((lines) => envVariables(parseEnv(lines.join('\n'))));
  return new Set([...(one ?? [])].filter(([name, value]) => two?.get(name) !== value).map(([name]) => name));
}

type Wish = { value: string } | { secret: string };

function wishesOf(known: ReadonlyMap<string, string>, choices: SetupChoices, url: string): Map<string, Wish> {
  const wishes = new Map<string, Wish>();
  for (const name of secretVariables) {
    const secret = choices.references[name];
    if (secret !== undefined && known.has(name)) wishes.set(name, { secret });
  }
  const set = (name: string, value: string) => wishes.set(name, { value });
  if (known.has('SUPABASE_HOST')) set('SUPABASE_HOST', choices.host);
  set('SUPABASE_PUBLIC_URL', url);
  // Since v0.7 of Supabase's compose the variable includes the path; the template says which generation it is.
  set('API_EXTERNAL_URL', (known.get('API_EXTERNAL_URL') ?? '').replace(/\/+$/, '').endsWith('/auth/v1') ? `${url}/auth/v1` : url);
  if (choices.siteUrl !== null) set('SITE_URL', choices.siteUrl);
  set('ADDITIONAL_REDIRECT_URLS', redirectsOf(known.get('SITE_URL') ?? '', choices, url).join(','));
  if (known.has('POOLER_TENANT_ID')) set('POOLER_TENANT_ID', choices.poolerTenantId);
  if (choices.smtp) {
    const { host, port, user, pass, adminEmail, senderName } = choices.smtp;
    for (const [name, value] of Object.entries({
      SMTP_ADMIN_EMAIL: adminEmail,
      SMTP_HOST: host,
      SMTP_PORT: String(port),
      SMTP_USER: user,
      SMTP_SENDER_NAME: senderName,
    }))
      set(name, value);
    wishes.set('SMTP_PASS', { secret: pass });
  }
  return wishes;
}

/** A comma list without doubles: the instance itself, the application, what was asked for; localhost stays only while the application is there. */
function redirectsOf(templateSite: string, choices: SetupChoices, url: string): string[] {
  const site = choices.siteUrl ?? templateSite;
  return [...new Set([`${url}/*`, ...(site === '' ? [] : [`${site.replace(/\/+$/, '')}/*`]), ...choices.redirectUrls])];
}

function planLines(
  env: EnvText,
  known: ReadonlyMap<string, string>,
  wishes: Map<string, Wish>,
  template: TemplateEnvironment,
  choices: SetupChoices,
  url: string,
) {
  const lines: PlannedLine[] = [];
  const summary: EnvironmentChange[] = [];
  const findings: Finding[] = [];
  const note = (variable: string, change: EnvironmentChange['change'], shown: string) => {
    if (!summary.some((each) => each.variable === variable)) summary.push({ variable, change, shown });
  };
  for (const item of env) {
    if (item.kind === 'other') {
      lines.push({ text: item.raw });
      continue;
    }
    const value = entryValue(item);
    const wish =
      wishes.get(item.name) ??
      (template.host !== null && value.includes(template.host) ? { value: withHost(value, template.host, choices.host, url) } : undefined);
    if (wish && 'secret' in wish) {
      lines.push({ name: item.name, secret: wish.secret });
      note(item.name, item.name === 'SMTP_PASS' ? 'changed' : 'generated', '(secret, kept encrypted)');
    } else if (wish && wish.value !== value) {
      lines.push({ name: item.name, value: wish.value });
      note(item.name, item.name === 'POOLER_TENANT_ID' ? 'generated' : 'changed', maskValue(item.name, wish.value));
    } else {
      lines.push(verbatim(item));
      if (placeholders[item.name]?.includes(value)) note(item.name, 'kept-placeholder', maskValue(item.name, value));
      if (template.generated.has(item.name) && !wish) findings.push(madeByDokploy(item.name));
    }
  }
  for (const [name, wish] of wishes) {
    if (known.has(name)) continue;
    lines.push('secret' in wish ? { name, secret: wish.secret } : { name, value: wish.value });
    note(name, 'added', 'secret' in wish ? '(secret, kept encrypted)' : maskValue(name, wish.value));
  }
  return { lines, summary, findings };
}

/** An untouched assignment keeps its text; the line end belongs to the join. */
function verbatim(item: EnvEntry): PlannedLine {
  return { text: printEnv([{ ...item, eol: '' }]) };
}

/** Replaces the made-up host, scheme included, wherever the template put it. */
function withHost(value: string, made: string, host: string, url: string): string {
  return value.replaceAll(`https://${made}`, url).replaceAll(`http://${made}`, url).replaceAll(made, host);
}

function findingsOf(lines: readonly PlannedLine[], template: TemplateEnvironment, choices: SetupChoices, url: string): Finding[] {
  const values = new Map<string, string>();
  for (const line of lines) {
    if ('text' in line) for (const [name, value] of envVariables(parseEnv(line.text))) values.set(name, value);
    else if ('value' in line) values.set(line.name, line.value);
  }
  const findings: Finding[] = [];
  for (const [name, value] of values) {
    if (!placeholders[name]?.includes(value)) continue;
    const mail = name.startsWith('SMTP_');
    findings.push({
      code: mail ? 'SMTP_PLACEHOLDER' : 'PLACEHOLDER',
      severity: mail ? 'warning' : 'info',
      at: name,
      say: `${name} keeps the template’s placeholder${mail ? ': no mail will leave this instance' : ''}.`,
      fix: mail ? 'Go back to the step smtp and give a mail server.' : 'Set it later if you use what it belongs to.',
    });
  }
  if (/^https?:\/\/(localhost|127\.)/.test(values.get('SITE_URL') ?? '')) {
    findings.push({
      code: 'SITE_URL_LOCAL',
      severity: 'warning',
      at: 'SITE_URL',
      say: 'Links in mails lead to localhost until SITE_URL is the address of your application.',
      fix: 'Go back to the step domain and give siteUrl.',
    });
  }
  if (!choices.https && !isLocalHost(choices.host)) {
    findings.push({
      code: 'HTTP_ONLY',
      severity: 'warning',
      at: 'SUPABASE_PUBLIC_URL',
      say: `${url} is served without encryption: keys and sessions can be read on the way.`,
      fix: 'Go back to the step domain and choose a certificate.',
    });
  }
  if (template.host === null) {
    findings.push({
      code: 'TEMPLATE_HOST_UNKNOWN',
      severity: 'info',
      at: 'domains',
      say: 'The template made no domain of its own; a new route is created.',
    });
  }
  if (values.get('FUNCTIONS_VERIFY_JWT') === 'false') {
    findings.push({
      code: 'FUNCTIONS_OPEN',
      severity: 'info',
      at: 'FUNCTIONS_VERIFY_JWT',
      say: 'Edge functions answer without a token, as the template has it.',
      fix: 'Set it to true after the handover if your functions expect signed calls.',
    });
  }
  if (values.get('ENABLE_PHONE_AUTOCONFIRM') === 'true') {
    findings.push({
      code: 'PHONE_AUTOCONFIRM',
      severity: 'info',
      at: 'ENABLE_PHONE_AUTOCONFIRM',
      say: 'Phone numbers are confirmed without a message, as the template has it.',
      fix: 'Set it to false after the handover if you use sign-up by phone.',
    });
  }
  return findings;
}

/** True for names that only this machine serves: they are allowed over http. */
export function isLocalHost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || /^127(\.\d{1,3}){3}$/.test(host);
}

function madeByDokploy(name: string): Finding {
  return {
    code: 'GENERATED_BY_DOKPLOY',
    severity: isSecretVariable(name) ? 'warning' : 'info',
    at: name,
    say: `${name} is made by Dokploy’s own generator, which is no source of strong secrets; this workflow does not know the variable.`,
    fix: 'Replace it after the handover if it protects something.',
  };
}

function lacking(missing: readonly string[]): AppError {
  return new AppError('TEMPLATE_LACKS_VARIABLE', {
    message: `The template is not one of Supabase that this workflow knows: it lacks ${missing.join(', ')}.`,
    fix: 'Check the template address of this Dokploy; nothing was created.',
    details: { missing },
  });
}
