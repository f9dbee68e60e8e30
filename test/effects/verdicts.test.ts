/** Tables for the pure verdicts on which writes, undos and warnings rest. */
import { describe, expect, it } from 'vitest';
import { judgeDomain, requireCertificatePossible } from '../../src/effects/dns/effects.ts';
import type { Container, Containers } from '../../src/effects/dokploy/containers.ts';
import { judgeRoutes, type Route } from '../../src/effects/dokploy/domain-effects.ts';
import { readNumbers } from '../../src/effects/dokploy/exec-user-data.ts';
import { judgeHealth } from '../../src/effects/dokploy/health.ts';
import { judgeImport, type ServiceImage } from '../../src/effects/dokploy/import-effects.ts';
import { judgeUserData } from '../../src/effects/dokploy/may-remove.ts';
import { isOurs } from '../../src/effects/dokploy/session.ts';
import { createSmtpHandlers } from '../../src/effects/smtp/effects.ts';
import { hashKept } from '../../src/effects/supabase/plan-document.ts';
import { isDefinite } from '../../src/effects/supabase/verify-effects.ts';
import { toCamelCase } from '../../src/effects/target/effects.ts';
import { reachFor } from '../../src/effects/template/effects.ts';
import { createBench } from '../helpers/effect-context.ts';

describe('an import', () => {
  const before: ServiceImage = { composeFile: '', env: '', domainIds: [], mountPaths: [] };
  const plan = { composeHash: hashKept('ours'), mounts: ['/a', '/b'], importedDomains: 1 };
  it.each<[string, Partial<ServiceImage>, string]>([
    ['untouched', {}, 'absent'],
    ['complete', { composeFile: 'ours\n', mountPaths: ['/a', '/b'], domainIds: ['d'] }, 'applied'],
    ['without mounts', { composeFile: 'ours', domainIds: ['d'] }, 'partial'],
    ['without domain', { composeFile: 'ours', mountPaths: ['/a', '/b'] }, 'partial'],
    ['without compose text', { mountPaths: ['/a', '/b'], domainIds: ['d'] }, 'partial'],
    ['emptied by our undo', { mountPaths: ['/a', '/b'] }, 'absent'],
    ['with another text', { composeFile: 'theirs', mountPaths: ['/a', '/b'], domainIds: ['d'] }, 'foreign'],
    ['with a strange file', { composeFile: 'ours', mountPaths: ['/a', '/b', '/c'], domainIds: ['d'] }, 'foreign'],
  ])('%s is judged', (_, row, state) => {
    expect(judgeImport({ ...before, ...row }, before, plan)).toBe(state);
  });

  it('of a template without a domain needs none', () => {
    expect(judgeImport({ ...before, composeFile: 'ours', mountPaths: ['/a', '/b'] }, before, { ...plan, importedDomains: 0 })).toBe(
      'applied',
    );
  });
});

describe('routes', () => {
  const made: Route = { domainId: '1', host: 'made.io', https: false, certificateType: 'none', port: 8000, path: '/', serviceName: 'kong' };
  const other: Route = { ...made, domainId: '2', host: 'other.io', serviceName: 'studio' };
  const wanted = { host: 'db.org', https: true, certificateType: 'letsencrypt' as const, port: 8000, path: '/', serviceName: 'kong' };
  const ours = { domainId: '1', ...wanted };
  it.each<[string, Route[], Route[], string]>([
    ['as imported', [made], [made], 'absent'],
    ['set', [ours], [made], 'applied'],
    ['set beside another', [ours, other], [made, other], 'applied'],
    ['edited', [{ ...made, host: 'theirs' }], [made], 'foreign'],
    ['with another row edited', [ours, { ...other, port: 1 }], [made, other], 'foreign'],
    ['removed', [], [made], 'foreign'],
    ['with a row more', [made, other], [made], 'foreign'],
    ['none, none made', [], [], 'absent'],
    ['none before, ours created', [{ ...ours, domainId: '9' }], [], 'applied'],
    ['none before, theirs created', [other], [], 'foreign'],
  ])('%s are judged', (_, found, before, state) => {
    expect(judgeRoutes(found, before, wanted).state).toBe(state);
  });
});

describe('health', () => {
  const row = (service: string, health: Container['health'], state = 'running', exitCode: number | null = null): Container => ({
    containerId: service,
    name: service,
    service,
    state,
    health,
    exitCode,
  });
  const known = (...rows: Container[]): Containers => ({ state: 'known', rows });
  const services = [
    { name: 'db', healthcheck: true },
    { name: 'job', healthcheck: false },
  ];
  it.each<[string, Containers, string, string[]]>([
    ['all well', known(row('db', 'healthy'), row('job', 'none')), 'healthy', []],
    ['a one-shot that ended well', known(row('db', 'healthy'), row('job', 'exited', 'exited', 0)), 'healthy', []],
    ['a one-shot that failed', known(row('db', 'healthy'), row('job', 'exited', 'exited', 1)), 'pending', ['job: exited with code 1']],
    ['an ended service with a check', known(row('db', 'exited', 'exited', 0), row('job', 'none')), 'pending', ['db: exited with code 0']],
    ['a check that has not reported', known(row('db', 'none'), row('job', 'none')), 'pending', ['db: running, its check has not reported']],
    ['starting', known(row('db', 'starting'), row('job', 'none')), 'pending', ['db: starting']],
    ['a missing container', known(row('db', 'healthy')), 'pending', ['job: no container']],
    [
      'one of two replicas unhealthy',
      known(row('db', 'healthy'), row('db', 'unhealthy'), row('job', 'none')),
      'pending',
      ['db: unhealthy'],
    ],
    ['created and not started', known(row('db', 'healthy'), row('job', 'none', 'created')), 'pending', ['job: created']],
    ['an empty list', { state: 'unknown', say: 'x' }, 'unknown', ['db: unknown', 'job: unknown']],
  ])('with %s', (_, containers, verdict, waiting) => {
    const health = judgeHealth(services, containers);
    expect(health.verdict).toBe(verdict);
    expect(health.waiting.map(({ service, state }) => `${service}: ${state}`)).toEqual(waiting);
  });

  it('of a stack without services is never healthy', () => {
    expect(judgeHealth([], known()).verdict).toBe('pending');
  });
});

describe('a domain', () => {
  const question = { host: 'db.org', certificate: 'letsencrypt' as const, acceptUnresolved: false, letsEncryptEmail: 'a@b.org' };
  it.each([
    ['points-here', 'letsencrypt', false, 'ok'],
    ['unresolved', 'letsencrypt', true, 'DOMAIN_UNRESOLVED'],
    ['unresolved', 'none', false, 'DOMAIN_UNRESOLVED'],
    ['unresolved', 'none', true, 'warned'],
    ['elsewhere', 'letsencrypt', true, 'DOMAIN_ELSEWHERE'],
    ['elsewhere', 'custom', true, 'warned'],
    ['cdn-or-unknown', 'letsencrypt', false, 'DOMAIN_UNPROVEN'],
    ['cdn-or-unknown', 'letsencrypt', true, 'warned'],
  ] as const)('that is %s with %s, accepted %s: %s', (state, certificate, acceptUnresolved, outcome) => {
    const judge = () => judgeDomain({ ...question, certificate, acceptUnresolved }, { state, say: 'x' });
    if (outcome === 'ok') expect(judge()).toEqual([]);
    else if (outcome === 'warned') expect(judge()).toMatchObject([{ code: 'DOMAIN_UNPROVEN' }]);
    else expect(judge).toThrow(expect.objectContaining({ code: outcome, retry: 'never' }));
  });

  it.each([
    ['localhost', 'letsencrypt', 'a@b.org', 'DOMAIN_NO_CERTIFICATE'],
    ['api.localhost', 'custom', null, 'DOMAIN_NO_CERTIFICATE'],
    ['203.0.113.7', 'letsencrypt', 'a@b.org', 'DOMAIN_NO_CERTIFICATE'],
    ['intranet', 'letsencrypt', 'a@b.org', 'DOMAIN_NO_CERTIFICATE'],
    ['db.org', 'letsencrypt', null, 'LETSENCRYPT_EMAIL_MISSING'],
    ['db.org', 'custom', null, null],
    ['localhost', 'none', null, null],
  ] as const)('%s with %s and mail address %s: %s', (host, certificate, letsEncryptEmail, code) => {
    const require = () => requireCertificatePossible({ ...question, host, certificate, letsEncryptEmail });
    if (code === null) expect(require).not.toThrow();
    else expect(require).toThrow(expect.objectContaining({ code }));
  });
});

describe('small verdicts', () => {
  it.each([
    [{ tables: 0, users: 0, objects: 0 }, true],
    [{ tables: 1, users: 0, objects: 0 }, false],
    [{ tables: 0, users: 2, objects: 0 }, false],
    [{ tables: 0, users: 0, objects: 3 }, false],
  ])('user data %j may be removed: %j', (data, ok) => {
    const answer = judgeUserData('shop', data);
    expect(answer.ok).toBe(ok);
    if (!answer.ok) expect(answer.message).toContain(`${data.tables} table(s), ${data.users} user(s), ${data.objects} stored object(s)`);
  });

  it('takes a description as ours only when it carries the whole key', () => {
    expect(isOurs('capstan r1:3:deploy', { key: 'r1:3:deploy' })).toBe(true);
    for (const text of ['capstan r1:3:deploy2', 'capstan xr1:3:deploy', '', null, undefined])
      expect(isOurs(text, { key: 'r1:3:deploy' })).toBe(false);
  });

  it('reads counts from the one marked line and not from the echoed command', () => {
    expect(readNumbers('docker exec x bash -c psql -c select $s$capstan$s$, 1\ncapstan|3|0\ndone', 2)).toEqual([3, 0]);
    expect(() => readNumbers('capstan|3', 2)).toThrow(expect.objectContaining({ code: 'EXEC_FAILED' }));
    expect(() => readNumbers('', 2)).toThrow(expect.objectContaining({ code: 'EXEC_FAILED' }));
  });

  it('waits for silence and not for a refused key', () => {
    const storage = { name: 'storage-answers', ok: true, side: 'none', say: '' } as const;
    const failing = (side: 'gateway' | 'upstream' | 'signature') => ({ name: 'service-key-is-admin', ok: false, side, say: '' }) as const;
    expect(isDefinite({ ok: false, checks: [storage, failing('gateway')] })).toBe(true);
    expect(isDefinite({ ok: false, checks: [storage, failing('signature')] })).toBe(true);
    expect(isDefinite({ ok: false, checks: [storage, failing('upstream')] })).toBe(false);
    expect(isDefinite({ ok: false, checks: [{ ...storage, ok: false }, failing('gateway')] })).toBe(false);
  });

  it('keeps the dokploy’s own headers at its own origin', () => {
    const reach = { ca: 'pem', headers: { 'x-access': 'secret' } };
    expect(reachFor('https://templates.dokploy.com', 'https://dok.org', reach)).toEqual({ ca: 'pem' });
    expect(reachFor('https://dok.org/templates', 'https://dok.org', reach)).toEqual(reach);
  });

  it('names secrets in camel case', () => {
    expect(['SERVICE_ROLE_KEY', 'S3_PROTOCOL_ACCESS_KEY_ID', 'JWT_SECRET'].map(toCamelCase)).toEqual([
      'serviceRoleKey',
      's3ProtocolAccessKeyId',
      'jwtSecret',
    ]);
  });
});

describe('mail settings', () => {
  const settings = {
    dokploy: 'home',
    host: 'smtp.shop.org',
    port: 587 as const,
    user: 'u',
    pass: 'secret:m',
    adminEmail: 'a@shop.org',
    senderName: 'Shop',
  };
  const bench = createBench({ name: 'home', url: 'http://127.0.0.1:1', apiKey: 'x', reach: {} });
  const verify = (change: Partial<typeof settings>, pass = 'a-good-password') => {
    bench.secrets.set('secret:m', pass);
    return createSmtpHandlers()['smtp.verify@1'].run(bench.contextFor('r:1:testSmtp'), { ...settings, ...change }, undefined);
  };

  it.each<[string, Partial<typeof settings>, string, string]>([
    ['a placeholder host', { host: 'supabase-mail' }, 'fine-password', 'SMTP_PLACEHOLDER'],
    ['a placeholder password', {}, 'fake_mail_password', 'SMTP_PLACEHOLDER'],
    ['a password that no environment text can hold', {}, `a'b$c`, 'ENV_VALUE_UNSAFE'],
  ])('with %s are refused before anything is tried, without naming the password', async (_, change, pass, code) => {
    const failure = await verify(change, pass).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code });
    expect(JSON.stringify(failure) + String(failure)).not.toContain(pass);
  });
});
