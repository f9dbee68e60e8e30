import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDokployClient, type DokployClient } from '../../src/effects/dokploy/client.ts';
import { createLimiter } from '../../src/effects/dokploy/rate-limit.ts';
import { parseRetryAfter } from '../../src/effects/dokploy/refusals.ts';
import { body, errorOf, expectNoSecretInErrors, PLANTED, vendorError } from '../helpers/dokploy-lab.ts';
import { CANARY_KEY, connectionTo, type FakeServer, type Script, startFakeServer } from '../helpers/fake-dokploy.ts';

let server: FakeServer;
let client: DokployClient;
beforeEach(async () => {
  server = await startFakeServer();
  client = createDokployClient(connectionTo(server), { limiter: createLimiter(), timeoutMs: 2_000 });
});
afterEach(() => server.close());

const on = (procedure: string, ...scripts: Script[]) => server.on(`/api/${procedure}`, ...scripts);

describe('what goes out', () => {
  it('carries the key in x-api-key only, and none to the health route', async () => {
    on('health', { json: { ok: true } });
    on('settings.getDokployVersion', { json: 'v0.30.2' });
    expect(await client.health()).toBe(true);
    expect(await client.version()).toMatchObject({ text: 'v0.30.2', capabilities: { createSourceType: true } });
    expect(server.asked[0]?.headers['x-api-key']).toBeUndefined();
    expect(server.asked[1]?.headers['x-api-key']).toBe(CANARY_KEY);
    expect(server.asked[1]?.headers.authorization).toBeUndefined();
  });

  it('sends real booleans, and nothing at all when one is missing or a text', async () => {
    on('compose.delete', { json: { composeId: 'c1' } });
    await client.deleteCompose({ composeId: 'c1', deleteVolumes: false });
    expect(server.asked[0]?.json).toEqual({ composeId: 'c1', deleteVolumes: false });
    // Untyped callers are what the check is for.
    const wrong = { composeId: 'c1', deleteVolumes: 'false' } as unknown as { composeId: string; deleteVolumes: boolean };
    await expect(client.deleteCompose(wrong)).rejects.toThrow(TypeError);
    const missing = { composeId: 'c1' } as unknown as { composeId: string; deleteVolumes: boolean };
    await expect(client.deleteCompose(missing)).rejects.toThrow(/deleteVolumes/);
    expect(server.asked).toHaveLength(1);
  });

  it('never sends an unknown field or an empty query value', async () => {
    const extra = { composeId: 'c1', env: 'A=1', bogus: 1 } as unknown as { composeId: string };
    await expect(client.updateCompose(extra)).rejects.toThrow(/bogus/);
    await expect(client.composeOne('')).rejects.toThrow(TypeError);
    expect(server.asked).toHaveLength(0);
  });

  it('packs a template as Dokploy unpacks it', async () => {
    on('compose.previewTemplate', { json: body('compose.previewTemplate') });
    await client.previewTemplate({ compose: 'services: {}', toml: 'x = 1' }, 'demo');
    const sent = server.asked[0]?.json as { base64: string; appName: string };
    expect(JSON.parse(Buffer.from(sent.base64, 'base64').toString())).toEqual({ compose: 'services: {}', config: 'x = 1' });
    expect(sent.appName).toBe('demo');
  });

  it('makes a disabled schedule with a date that never comes', async () => {
    on('schedule.create', { json: body('schedule.create.exec') });
    on('schedule.runManually', { json: { status: 'done', deploymentId: 'd9', logPath: '/x' } });
    on('schedule.delete', { json: true });
    const { scheduleId } = await client.createSchedule({ name: 'capstan x', command: 'true', composeId: 'c1', serviceName: 'db' });
    expect(server.asked[0]?.json).toMatchObject({
      enabled: false,
      cronExpression: '0 0 31 2 *',
      scheduleType: 'compose',
      shellType: 'bash',
    });
    expect(await client.runSchedule(scheduleId)).toMatchObject({ status: 'done', deploymentId: 'd9' });
    await client.deleteSchedule(scheduleId);
  });
});

describe('a 401', () => {
  it('without a code is a bad key: explained, with how to make a good one, and asked once', async () => {
    on('project.all', { status: 401, json: { message: 'Unauthorized' } });
    const error = await errorOf(client.projects());
    expect(error).toMatchObject({ code: 'DOKPLOY_UNAUTHORIZED', retry: 'never', applied: 'no' });
    expect(error.message).toMatch(/10 verifications a day, two for each call/);
    expect(error.fix).toMatch(/rate limiting off/);
    expect(server.asked).toHaveLength(1);
  });

  it('after an earlier success is a used-up, revoked or expired key, also for another client of this process', async () => {
    on('project.all', { json: [] }, { status: 401, json: { message: 'Unauthorized' } });
    await client.projects();
    const other = createDokployClient(connectionTo(server), { limiter: createLimiter() });
    const error = await errorOf(other.projects());
    expect(error).toMatchObject({ code: 'DOKPLOY_KEY_RATE_LIMITED', retry: 'never', details: { variant: 'KEY_REJECTED_AFTER_SUCCESS' } });
    expect(server.asked).toHaveLength(2);
  });

  it('with a code belongs to another organization', async () => {
    on('project.one', vendorError(401, 'You are not authorized to access this project', 'project.one'));
    expect(await errorOf(client.project('p1'))).toMatchObject({
      code: 'DOKPLOY_FORBIDDEN',
      message: expect.stringContaining('organization'),
    });
  });

  it('of a proxy is told apart from one of Dokploy', async () => {
    on('project.all', { status: 401, text: '<html>Login</html>' });
    expect((await errorOf(client.projects())).message).toMatch(/in front of the Dokploy/);
  });
});

describe('refusals', () => {
  it.each([
    ['GET', 500, 'DOKPLOY_FAILED', 'later', 'no'],
    ['POST', 500, 'DOKPLOY_FAILED', 'later', 'unknown'],
    ['POST', 502, 'DOKPLOY_FAILED', 'later', 'unknown'],
    ['POST', 400, 'DOKPLOY_REFUSED', 'never', 'no'],
    ['POST', 403, 'DOKPLOY_FORBIDDEN', 'never', 'no'],
    ['POST', 404, 'DOKPLOY_NOT_FOUND', 'never', 'no'],
    ['POST', 415, 'DOKPLOY_REFUSED', 'never', 'no'],
    ['GET', 307, 'DOKPLOY_REDIRECTED', 'never', 'no'],
  ])('%s with %i is %s, retry %s, applied %s', async (method, status, code, retry, applied) => {
    on('project.all', vendorError(status, 'words', 'project.all'));
    on('project.create', vendorError(status, 'words', 'project.create'));
    const error = await errorOf(method === 'GET' ? client.projects() : client.createProject({ name: 'x' }));
    expect(error).toMatchObject({ code, retry, applied });
  });

  it('say how long a proxy asks to wait', async () => {
    on('project.all', { status: 429, headers: { 'retry-after': '7' }, text: 'slow down' });
    expect(await errorOf(client.projects())).toMatchObject({
      code: 'DOKPLOY_RATE_LIMITED',
      retry: 'later',
      applied: 'no',
      details: { retryAfterMs: 7000 },
    });
    expect(parseRetryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4000)).toBe(6000);
    expect(parseRetryAfter('soon')).toBeNull();
    expect(parseRetryAfter(undefined)).toBeNull();
  });

  it('leave doubt for an import, which wipes before it parses', async () => {
    on('compose.import', vendorError(400, 'Error importing template', 'compose.import'));
    expect(await errorOf(client.importTemplate('c1', { compose: 'a', toml: 'b' }))).toMatchObject({
      code: 'DOKPLOY_REFUSED',
      applied: 'unknown',
      retry: 'never',
    });
  });

  it('name wrong fields and quote the words of the other side, harmless', async () => {
    on('project.create', {
      status: 400,
      json: { message: 'bad\u202E\n"x"', code: 'BAD_REQUEST', issues: [{ path: ['name'] }, { path: ['a b"c'] }] },
    });
    const error = await errorOf(client.createProject({ name: 'x' }));
    expect(error.message).toContain('(fields: name)');
    expect(error.message).toContain('"bad\\u{202e}\\n\'x\'"');
  });

  it('tell an unknown procedure from a missing thing', async () => {
    on('user.getPermissions', { status: 404, json: { message: 'Not found', code: 'NOT_FOUND', data: { code: 'NOT_FOUND' } } });
    expect(await client.permissions()).toMatchObject({ state: 'unknown' });
    expect((await errorOf(client.servers())).code).toBe('DOKPLOY_PROCEDURE_MISSING');
  });

  it('of anything that is no Dokploy say so', async () => {
    on('health', { text: '<html>nginx</html>' });
    expect((await errorOf(client.health())).code).toBe('DOKPLOY_NOT_RECOGNISED');
    on('health', { status: 404, text: 'nope' });
    expect((await errorOf(client.health())).code).toBe('DOKPLOY_NOT_RECOGNISED');
  });

  it('of an old version name it and the floor', async () => {
    on('settings.getDokployVersion', { json: 'v0.24.0' });
    expect(await errorOf(client.version())).toMatchObject({ code: 'DOKPLOY_TOO_OLD', details: { version: 'v0.24.0', floor: '0.29.5' } });
  });
});

describe('answers of an unexpected shape', () => {
  it('name the procedure and the path', async () => {
    on('project.all', { json: [{ projectId: 'p1', name: 'x', description: null }] });
    const error = await errorOf(client.projects());
    expect(error).toMatchObject({
      code: 'DOKPLOY_UNEXPECTED_ANSWER',
      applied: 'no',
      details: { procedure: 'project.all', where: '0.environments' },
    });
  });

  it('leave doubt after a write', async () => {
    on('project.create', { json: { projectId: 'p1' } });
    expect(await errorOf(client.createProject({ name: 'x' }))).toMatchObject({ code: 'DOKPLOY_UNEXPECTED_ANSWER', applied: 'unknown' });
    on('project.create', { text: '<html>' });
    expect(await errorOf(client.createProject({ name: 'x' }))).toMatchObject({ code: 'DOKPLOY_UNEXPECTED_ANSWER', applied: 'unknown' });
    on('compose.stop', { text: '' });
    expect(await errorOf(client.stop('c1'))).toMatchObject({ code: 'DOKPLOY_UNEXPECTED_ANSWER', applied: 'unknown' });
  });

  it('keep what a newer server adds', async () => {
    on('compose.one', { json: body('compose.one', { brandNew: 1 }) });
    expect((await client.composeOne('c1')).brandNew).toBe(1);
  });
});

describe('secrets', () => {
  it('in answers are announced before they are returned', async () => {
    const announced: string[] = [];
    const telling = createDokployClient(connectionTo(server), { limiter: createLimiter(), onSecret: (value) => announced.push(value) });
    on('compose.one', {
      json: body('compose.one', { env: `A=1\nJWT_SECRET="${PLANTED}"\nSITE_URL=https://a.test`, refreshToken: 'webhook-token' }),
    });
    await telling.composeOne('c1');
    expect(announced).toEqual(['webhook-token', PLANTED]);
  });

  const texts = [
    `Command failed: rclone ls --s3-access-key-id=${PLANTED} --s3-secret-access-key=${PLANTED}`,
    `POSTGRES_PASSWORD=${PLANTED} failed`,
    `postgres://postgres:${PLANTED}@db:5432`,
    `your key ${CANARY_KEY} is wrong`,
  ];
  const statuses = [307, 400, 401, 403, 404, 429, 500];

  it.each(statuses.flatMap((status) => texts.map((text) => [status, text] as const)))(
    'never show in an error with status %i',
    async (status, text) => {
      on('compose.deploy', {
        ...vendorError(status, text, 'compose.deploy'),
        headers: { location: `https://x.test/${PLANTED}`, 'retry-after': PLANTED },
      });
      await errorOf(client.deploy({ composeId: 'c1', title: 't', description: 'd' }));
    },
  );

  it('never show when the connection breaks, the answer is odd or our own input is wrong', async () => {
    on('compose.saveEnvironment', { reset: true }, { json: { odd: PLANTED } });
    await errorOf(client.saveEnvironment('c1', `A_SECRET=${PLANTED}`));
    await errorOf(client.saveEnvironment('c1', `A_SECRET=${PLANTED}`));
    const wrong = client.saveEnvironment('c1', [PLANTED] as unknown as string);
    const thrown = await wrong.catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(TypeError);
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toContain(PLANTED);
    await server.close();
    await errorOf(client.projects());
  });

  it('were in none of the errors of this file, in no form', () => {
    expectNoSecretInErrors(45);
  });
});
