import { describe, expect, it } from 'vitest';
import { assembleEnvironment, generatedVariables, planEnvironment, type SetupChoices } from '../../src/effects/supabase/plan-setup.ts';
import { secretVariables } from '../../src/effects/supabase/secrets.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { compareThreeWays, maskValue } from '../../src/masking.ts';

const host = 'demo-ab12cd-127-0-0-1.sslip.io';
const template = [
  '# Supabase',
  `SUPABASE_HOST=${host}`,
  'POSTGRES_PASSWORD=madebydokploy',
  'JWT_SECRET=madebydokploy',
  'ANON_KEY=eyJa.b.c',
  'SERVICE_ROLE_KEY=eyJd.e.f',
  'DASHBOARD_USERNAME=supabase',
  'POOLER_TENANT_ID=4785ba28-e329-4f60-8ac0-ba9267ce7bf0',
  'SITE_URL=http://localhost:3000',
  `ADDITIONAL_REDIRECT_URLS=https://${host}/*,http://localhost:3000/*`,
  `API_EXTERNAL_URL=https://${host}`,
  'MAILER_URLPATHS_INVITE="/auth/v1/verify"',
  'SMTP_ADMIN_EMAIL=admin@example.com',
  'SMTP_HOST=supabase-mail',
  'SMTP_PORT=2500',
  'SMTP_USER=fake_mail_user',
  'SMTP_PASS=fake_mail_password',
  'SMTP_SENDER_NAME=fake_sender',
  'STUDIO_DEFAULT_PROJECT=Default Project',
  `SUPABASE_PUBLIC_URL=https://${host}`,
  `NEW_PUBLIC_LINK=http://${host}/x`,
  'NEW_SECRET_TOKEN=random1',
  'GOOGLE_PROJECT_ID=GOOGLE_PROJECT_ID',
];
const references = Object.fromEntries(secretVariables.map((name) => [name, `secret:${name}`]));
const choices: SetupChoices = {
  host: 'db.shop.org',
  https: true,
  siteUrl: null,
  redirectUrls: [],
  smtp: null,
  poolerTenantId: 'our-tenant',
  references,
};
const plan = (change: Partial<SetupChoices> = {}, lines = template) =>
  planEnvironment({ lines, generated: new Set(['NEW_SECRET_TOKEN', 'POSTGRES_PASSWORD']), host }, { ...choices, ...change });
const valuesOf = async (planned: ReturnType<typeof plan>) =>
  envVariables(parseEnv(await assembleEnvironment(planned.lines, async (reference) => `value-of-${reference.slice(7)}`)));

describe('the planned environment', () => {
  it.each<[string, Partial<SetupChoices>, Record<string, string>]>([
    [
      'https',
      {},
      {
        SUPABASE_HOST: 'db.shop.org',
        SUPABASE_PUBLIC_URL: 'https://db.shop.org',
        API_EXTERNAL_URL: 'https://db.shop.org',
        SITE_URL: 'http://localhost:3000',
        ADDITIONAL_REDIRECT_URLS: 'https://db.shop.org/*,http://localhost:3000/*',
        NEW_PUBLIC_LINK: 'https://db.shop.org/x',
        POOLER_TENANT_ID: 'our-tenant',
        MAILER_URLPATHS_INVITE: '/auth/v1/verify',
        STUDIO_DEFAULT_PROJECT: 'Default Project',
      },
    ],
    [
      'an application and further redirects, each once',
      { siteUrl: 'https://shop.org/', redirectUrls: ['myapp://cb', 'https://db.shop.org/*'] },
      { SITE_URL: 'https://shop.org/', ADDITIONAL_REDIRECT_URLS: 'https://db.shop.org/*,https://shop.org/*,myapp://cb' },
    ],
    ['plain http', { https: false }, { SUPABASE_PUBLIC_URL: 'http://db.shop.org', NEW_PUBLIC_LINK: 'http://db.shop.org/x' }],
    [
      'a mail server',
      { smtp: { host: 'smtp.shop.org', port: 587, user: 'u', pass: 'secret:mail', adminEmail: 'a@shop.org', senderName: "The Shop's" } },
      {
        SMTP_HOST: 'smtp.shop.org',
        SMTP_PORT: '587',
        SMTP_PASS: 'value-of-mail',
        SMTP_SENDER_NAME: "The Shop's",
        SMTP_ADMIN_EMAIL: 'a@shop.org',
      },
    ],
  ])('follows %s', async (_, change, expected) => {
    expect(Object.fromEntries(await valuesOf(plan(change)))).toMatchObject(expected);
  });

  it('keeps the path in API_EXTERNAL_URL where the generation has it', async () => {
    const newer = template.map((line) => (line.startsWith('API_EXTERNAL_URL') ? `API_EXTERNAL_URL=https://${host}/auth/v1` : line));
    expect((await valuesOf(plan({}, newer))).get('API_EXTERNAL_URL')).toBe('https://db.shop.org/auth/v1');
  });

  it('holds references where secrets belong, and no value of Dokploy for them (invariant 1)', async () => {
    const planned = plan();
    const text = JSON.stringify(planned);
    for (const gone of ['madebydokploy', 'eyJa.b.c', 'eyJd.e.f']) expect(text).not.toContain(gone);
    expect(planned.lines).toContainEqual({ name: 'ANON_KEY', secret: 'secret:ANON_KEY' });
    expect((await valuesOf(planned)).get('ANON_KEY')).toBe('value-of-ANON_KEY');
  });

  it('keeps untouched lines and their order (invariant 2)', async () => {
    const text = await assembleEnvironment(plan().lines, async () => 'x');
    const names = (lines: string[]) => lines.map((line) => line.split('=')[0]);
    expect(names(text.split('\n'))).toEqual(names(template));
    expect(text).toContain('# Supabase\n');
    expect(text).toContain('MAILER_URLPATHS_INVITE="/auth/v1/verify"');
  });

  it('says every placeholder that stays (invariant 3)', () => {
    const { findings, summary } = plan();
    const kept = findings.filter((finding) => finding.code === 'SMTP_PLACEHOLDER').map((finding) => finding.at);
    expect(kept).toEqual(['SMTP_ADMIN_EMAIL', 'SMTP_HOST', 'SMTP_PORT', 'SMTP_USER', 'SMTP_PASS', 'SMTP_SENDER_NAME']);
    expect(summary.filter((change) => change.change === 'kept-placeholder').map((change) => change.variable)).toEqual([
      ...kept,
      'GOOGLE_PROJECT_ID',
    ]);
    expect(summary.find((change) => change.variable === 'SMTP_PASS')?.shown).not.toContain('fake_mail_password');
    const codes = plan({
      smtp: { host: 's.org', port: 465, user: 'u', pass: 'secret:m', adminEmail: 'a@s.org', senderName: 'S' },
      siteUrl: 'https://s.org',
    }).findings.map((finding) => finding.code);
    expect(codes).not.toContain('SMTP_PLACEHOLDER');
    expect(codes).not.toContain('SITE_URL_LOCAL');
  });

  it.each<[string, Partial<SetupChoices>, string, boolean]>([
    ['localhost as application', {}, 'SITE_URL_LOCAL', true],
    ['http for the world', { https: false }, 'HTTP_ONLY', true],
    ['http on localhost', { https: false, host: 'api.localhost' }, 'HTTP_ONLY', false],
    ['https', {}, 'HTTP_ONLY', false],
    ['a variable that only Dokploy knows', {}, 'GENERATED_BY_DOKPLOY', true],
  ])('for %s the finding %s: %j', (_, change, code, expected) => {
    expect(plan(change).findings.some((finding) => finding.code === code)).toBe(expected);
  });

  it('tells what Dokploy makes up from two expansions', () => {
    expect([...generatedVariables(['A=1', 'B=x', 'C=1'], ['A=1', 'B=y'])]).toEqual(['B', 'C']);
  });

  it('refuses a template that is not of Supabase, naming what is missing', () => {
    expect(() => plan({}, ['A=1'])).toThrow(expect.objectContaining({ code: 'TEMPLATE_LACKS_VARIABLE' }));
  });
});

describe('masking', () => {
  it.each([
    ['POSTGRES_PASSWORD', 'abc', '(secret, 3 characters)'],
    ['SMTP_PASS', 'abc', '(secret, 3 characters)'],
    ['ANYTHING', 'eyJhbGciOi.eyJyb2xl.c2ln', '(secret, 24 characters)'],
    ['DB_URL', 'postgres://u:p@h/d', '(secret, 18 characters)'],
    ['SITE_URL', 'https://x', 'https://x'],
    ['EMPTY', '', '(empty)'],
    ['TEXT', 'a\u202eb', 'a?b'],
  ])('%s=%j is shown as %j', (name, value, shown) => {
    expect(maskValue(name, value)).toBe(shown);
  });

  it('compares three ways and shows only what somebody else changed', () => {
    expect(compareThreeWays('A=1\nKEY_SECRET=s\nB=1', 'A=2\nKEY_SECRET=t\nB=1\nC=9', 'A=3\nKEY_SECRET=u\nB=5')).toEqual([
      { variable: 'A', before: '1', found: '2', ours: '3' },
      { variable: 'KEY_SECRET', before: '(secret, 1 characters)', found: '(secret, 1 characters)', ours: '(secret, 1 characters)' },
      { variable: 'C', before: '(unset)', found: '9', ours: '(unset)' },
    ]);
  });
});
