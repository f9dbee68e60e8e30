import { inspect } from 'node:util';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, describe, expect, it } from 'vitest';
import { isSmtpPlaceholder, type SmtpSettings, verifySmtp } from '../../src/effects/smtp/verify.ts';
import { createAuthority } from '../helpers/certificates.ts';

const authority = createAuthority('Mail CA');
const USER = 'mailer@example.test';
const PASS = 'mailPassCanary99';
const servers: SMTPServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => new Promise<void>((resolve) => server.close(resolve)))));

type Seen = { logins: number; port: number };

async function start(options: SMTPServerOptions, names = ['mail.test']): Promise<Seen> {
  const seen: Seen = { logins: 0, port: 0 };
  const server = new SMTPServer({
    ...authority.issue({ names }),
    onAuth({ username, password }, _session, done) {
      seen.logins++;
      if (username === USER && password === PASS) done(null, { user: username });
      else done(Object.assign(new Error(`Bad login ${password}`), { responseCode: 535 }));
    },
    ...options,
  });
  server.on('error', () => {});
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  seen.port = address.port;
  return seen;
}

const settings = (port: number, change: Partial<SmtpSettings> = {}): SmtpSettings => ({
  host: 'mail.test',
  port,
  user: USER,
  pass: PASS,
  ...change,
});
const reachTo = (port: number, to: number) => ({ ca: authority.ca, resolve: [`mail.test:${port}:127.0.0.1:${to}`] });

describe('SMTP settings', () => {
  it.each([
    [587, {}],
    [25, {}],
    [465, { secure: true }],
  ])('pass on port %i with encryption and login', async (port, options) => {
    const seen = await start(options);
    expect(await verifySmtp(settings(port), { reach: reachTo(port, seen.port) })).toEqual({ ok: true });
    expect(seen.logins).toBe(1);
  });

  it('with a wrong password are refused, and the password is not repeated', async () => {
    const seen = await start({});
    const wrong = 'wrongPassCanary11';
    const error = await verifySmtp(settings(587, { pass: wrong }), { reach: reachTo(587, seen.port) }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SMTP_LOGIN_REFUSED', retry: 'never', fix: expect.stringContaining('app password') });
    expect(JSON.stringify(error) + inspect(error, { depth: 20, showHidden: true })).not.toContain(wrong);
  });

  it.each([
    ['offers no STARTTLS', { disabledCommands: ['STARTTLS'] }, ['mail.test'], true],
    ['shows a certificate of another name', {}, ['other.test'], true],
    ['shows a certificate of an unknown authority', {}, ['mail.test'], false],
  ])('are refused without sending the password when the server %s', async (_name, options, names, withCa) => {
    const seen = await start(options, names);
    const { ca, resolve } = reachTo(587, seen.port);
    const error = verifySmtp(settings(587), { reach: withCa ? { ca, resolve } : { resolve } });
    await expect(error).rejects.toMatchObject({ code: 'SMTP_TLS', retry: 'never' });
    expect(seen.logins).toBe(0);
  });

  it('are refused when TLS is expected and plain text is spoken', async () => {
    const seen = await start({});
    await expect(verifySmtp(settings(465), { reach: reachTo(465, seen.port) })).rejects.toMatchObject({ code: 'SMTP_TLS' });
    expect(seen.logins).toBe(0);
  });

  it('are unreachable where nothing listens or the name is unknown', async () => {
    const seen = await start({});
    await new Promise<void>((resolve) => servers.splice(0)[0]?.close(resolve));
    await expect(verifySmtp(settings(587), { reach: reachTo(587, seen.port) })).rejects.toMatchObject({
      code: 'SMTP_UNREACHABLE',
      retry: 'later',
    });
    await expect(verifySmtp(settings(587, { host: 'nowhere.invalid' }))).rejects.toMatchObject({ code: 'SMTP_UNREACHABLE' });
  });

  it('may not lead to other ports, private or metadata addresses', async () => {
    await expect(verifySmtp(settings(2525))).rejects.toMatchObject({ code: 'SMTP_PORT_REFUSED' });
    await expect(verifySmtp(settings(25, { host: 'localhost' }))).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    await expect(verifySmtp(settings(25, { host: '10.0.0.1' }))).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    await expect(verifySmtp(settings(25, { host: '169.254.169.254' }), { allowPrivate: true })).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
  });

  it('stop being tested at the signal', async () => {
    const seen = await start({ onConnect: () => {} });
    const control = new AbortController();
    const pending = verifySmtp(settings(587), { reach: reachTo(587, seen.port), signal: control.signal });
    control.abort(new Error('stop'));
    await expect(pending).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('placeholders of templates', () => {
  it.each([
    ['host', 'supabase-mail', true],
    ['host', 'smtp.postmarkapp.com', false],
    ['port', 2500, true],
    ['port', 587, false],
    ['user', 'fake_mail_user', true],
    ['pass', 'fake_mail_password', true],
    ['pass', '', true],
    ['adminEmail', ' Admin@Example.com ', true],
    ['adminEmail', 'ops@acme.dev', false],
    ['senderName', 'fake_sender', true],
  ] as const)('%s %j: %s', (field, value, verdict) => {
    expect(isSmtpPlaceholder(field, value)).toBe(verdict);
  });
});
