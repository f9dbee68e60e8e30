/** The wizard's mail test against a real server, reached by the stored CA and --resolve entry of the dokploy. */
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSmtpHandlers } from '../../src/effects/smtp/effects.ts';
import { createAuthority } from '../helpers/certificates.ts';
import { createBench } from '../helpers/effect-context.ts';

const authority = createAuthority('Mail CA');
const server = new SMTPServer({
  ...authority.issue({ names: ['smtp.shop.org'] }),
  onAuth: ({ username, password }, _session, done) =>
    password === 'right-password' ? done(null, { user: username }) : done(new Error('no')),
});
let port = 0;

beforeAll(async () => {
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.server.address();
  port = address !== null && typeof address === 'object' ? address.port : 0;
});
afterAll(() => new Promise<void>((resolve) => server.close(resolve)));

function verify(pass: string) {
  const reach = { ca: authority.ca, resolve: [`smtp.shop.org:587:127.0.0.1:${port}`] };
  const bench = createBench({ name: 'home', url: 'http://127.0.0.1:1', apiKey: 'x', reach });
  bench.secrets.set('secret:m', pass);
  return createSmtpHandlers()['smtp.verify@1'].run(
    bench.contextFor('r:1:testSmtp'),
    { dokploy: 'home', host: 'smtp.shop.org', port: 587, user: 'u', pass: 'secret:m', adminEmail: 'a@shop.org', senderName: 'Shop' },
    undefined,
  );
}

it('logs in over trusted TLS with a right password', async () => {
  expect(await verify('right-password')).toEqual({ verified: true, warnings: [] });
});

it('refuses a wrong one without naming it', async () => {
  const failure = await verify('wrong-password').catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'SMTP_LOGIN_REFUSED', retry: 'never' });
  expect(JSON.stringify(failure) + String(failure)).not.toContain('wrong-password');
});
