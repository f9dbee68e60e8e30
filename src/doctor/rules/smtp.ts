/** Mail: the template's placeholders, and settings that keep auth from starting. */
import { docs, type Finding } from '../findings.ts';
import { atVariable, type Look, type Rule, thenDeploy } from '../look.ts';

export const smtpRules: readonly Rule[] = [placeholders, port, frequency];

const fakes: Readonly<Record<string, readonly string[]>> = {
  SMTP_ADMIN_EMAIL: ['admin@example.com'],
  SMTP_HOST: ['supabase-mail'],
  SMTP_PORT: ['2500'],
  SMTP_USER: ['fake_mail_user'],
  SMTP_PASS: ['fake_mail_password'],
  SMTP_SENDER_NAME: ['fake_sender'],
};

function placeholders(look: Look): Finding[] {
  const real = look.env.has('SMTP_HOST') && !fakes['SMTP_HOST']?.includes(look.env.get('SMTP_HOST') ?? '');
  return (
    Object.keys(fakes)
      .filter((name) => fakes[name]?.includes(look.env.get(name) ?? ''))
      // Port 2500 is a port like any other once the server is a real one.
      .filter((name) => !(real && name === 'SMTP_PORT'))
      .map((name) =>
        atVariable(
          look,
          name,
          {
            code: 'SMTP_PLACEHOLDER',
            severity: 'warning',
            say: `${name} keeps the template’s placeholder: no mail leaves this instance.`,
            expected: 'The value of your mail server',
            fix: `Set SMTP_HOST, SMTP_PORT, SMTP_USER, SMTP_PASS, SMTP_ADMIN_EMAIL and SMTP_SENDER_NAME ${thenDeploy}.`,
            docs: docs.smtp,
          },
          name === 'SMTP_PASS' ? '(the public placeholder)' : undefined,
        ),
      )
  );
}

function port(look: Look): Finding[] {
  const value = look.env.get('SMTP_PORT') ?? '';
  if (value === '' || (/^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535)) return [];
  const say = 'SMTP_PORT is no port, and auth does not start with it.';
  return [
    atVariable(look, 'SMTP_PORT', {
      code: 'SMTP_PORT',
      severity: 'error',
      say,
      expected: '465 or 587',
      fix: `Set SMTP_PORT=587 ${thenDeploy}.`,
      docs: docs.smtp,
    }),
  ];
}

/** A Go duration; a bare number stops auth in a loop. */
function frequency(look: Look): Finding[] {
  return ['GOTRUE_SMTP_MAX_FREQUENCY', 'SMTP_MAX_FREQUENCY'].flatMap((name) => {
    const value = look.env.get(name) ?? '';
    if (!/^\d+$/.test(value)) return [];
    const say = `${name} is a bare number, and auth does not start with it.`;
    return [
      atVariable(look, name, {
        code: 'SMTP_FREQUENCY',
        severity: 'error',
        say,
        expected: `${value.slice(0, 6)}s`,
        fix: `Set ${name}=${value.slice(0, 6)}s ${thenDeploy}.`,
        docs: docs.smtp,
      }),
    ];
  });
}
