import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { ask, call, deploy, deployStack, field, openSandbox, type Stack, sql } from './client.ts';

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A Supabase key as any tool makes it. */
function sign(role: string, secret: string, claims: object = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ role, iss: 'supabase', iat: now, exp: now + 3600, ...claims })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** What CryptoJS.AES.encrypt makes of a connection string. */
function encryptConnection(text: string, passphrase: string): string {
  const salt = randomBytes(8);
  let [block, all] = [Buffer.alloc(0), Buffer.alloc(0)];
  while (all.length < 48) {
    block = createHash('md5')
      .update(Buffer.concat([block, Buffer.from(passphrase), salt]))
      .digest();
    all = Buffer.concat([all, block]);
  }
  const cipher = createCipheriv('aes-256-cbc', all.subarray(0, 32), all.subarray(32, 48));
  return Buffer.concat([Buffer.from('Salted__'), salt, cipher.update(text, 'utf8'), cipher.final()]).toString('base64');
}

/** Subject and trust of the certificate that the gateway serves for a name. */
function certificate(sandbox: Sandbox, servername: string): Promise<{ subject: string; trusted: boolean }> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: sandbox.gateway.httpsPort, servername, ca: sandbox.ca, rejectUnauthorized: false };
    const socket = tls.connect(options, () => {
      resolve({ subject: String(socket.getPeerCertificate().subject.CN), trusted: socket.authorized });
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('the stack of the blueprint, deployed with keys of our own', () => {
  let sandbox: Sandbox;
  let close: () => Promise<void>;
  let stack: Stack;
  const jwtSecret = randomBytes(20).toString('hex');
  const anon = sign('anon', jwtSecret);
  const service = sign('service_role', jwtSecret);

  beforeAll(async () => {
    ({ sandbox, close } = await openSandbox());
    stack = await deployStack(sandbox, (text) =>
      text.replace('"log_min_messages=fatal",', '"log_min_messages=fatal", "-c", "max_connections=77",'),
    );
    // The blueprint's keys are replaced before anybody uses them; a second deployment carries them in.
    Object.assign(stack.env, { ANON_KEY: anon, SERVICE_ROLE_KEY: service, JWT_SECRET: jwtSecret });
    await saveEnv();
    await deploy(sandbox, stack.composeId, 'own keys');
  });
  afterAll(() => close());

  async function saveEnv(): Promise<void> {
    const env = Object.entries(stack.env).map(([name, value]) => `${name}=${value}`);
    await call(sandbox, 'compose.saveEnvironment', { composeId: stack.composeId, env: env.join('\n') });
  }
  const get = (path: string, headers: Record<string, string> = {}) => ask(sandbox, stack.host, path, { headers });

  test('comes up healthy, all thirteen containers, over a certificate of the own authority', async () => {
    expect(stack.deployment).toMatchObject({ status: 'done', title: 'test', description: 'first' });
    const containers = field<{ status: string }[]>(
      await call(sandbox, `docker.getContainersByAppNameMatch?appName=${stack.appName}`),
      'body',
    );
    expect(containers).toHaveLength(13);
    expect(containers.filter((one) => one.status.endsWith('(healthy)')).length).toBeGreaterThanOrEqual(9);
    expect(containers.every((one) => one.status.startsWith('Up '))).toBe(true);
    expect(await certificate(sandbox, stack.host)).toEqual({ subject: stack.host, trusted: true });
    expect(await certificate(sandbox, 'other.example.com')).toEqual({ subject: 'TRAEFIK DEFAULT CERT', trusted: false });
  });

  test('http is sent to https, unknown hosts are 404', async () => {
    const moved = await ask(sandbox, stack.host, '/rest/v1/?x=1', { secure: false });
    expect([moved.status, moved.headers.get('location')]).toEqual([301, `https://${stack.host}/rest/v1/?x=1`]);
    expect((await ask(sandbox, 'other.example.com', '/', { secure: false })).status).toBe(404);
  });

  test('the gateway compares keys literally and keeps the admin route for the service key', async () => {
    expect(await get('/auth/v1/health')).toMatchObject({ status: 401, body: { message: 'No API key found in request' } });
    const fresh = sign('service_role', jwtSecret, { iat: 1 });
    expect(await get('/auth/v1/health', { apikey: fresh })).toMatchObject({
      status: 401,
      body: { message: 'Invalid authentication credentials' },
    });
    expect(await get(`/auth/v1/health?apikey=${anon}`)).toMatchObject({ status: 200, body: { name: 'GoTrue' } });
    expect((await get('/pg/health', { apikey: anon })).status).toBe(403);
    expect((await get('/pg/health')).status).toBe(401);
    expect((await get('/pg/health', { apikey: service })).status).toBe(200);
    expect((await get('/')).status).toBe(401);
    expect((await get('/mcp')).status).toBe(403);
    const login = Buffer.from(`${stack.env.DASHBOARD_USERNAME}:${stack.env.DASHBOARD_PASSWORD}`).toString('base64');
    expect((await get('/', { authorization: `Basic ${login}` })).status).toBe(200);
  });

  test('auth checks signature and role of the bearer', async () => {
    const users = '/auth/v1/admin/users?per_page=1';
    expect(await get(users, { apikey: service })).toMatchObject({ status: 200, body: { users: [], aud: 'authenticated' } });
    expect(await get(users, { apikey: anon })).toMatchObject({ status: 403, body: { error_code: 'not_admin' } });
    const foreign = `Bearer ${sign('service_role', 'another-secret')}`;
    expect(await get(users, { apikey: service, authorization: foreign })).toMatchObject({ status: 403, body: { error_code: 'bad_jwt' } });
    expect(await get('/auth/v1/settings', { apikey: anon })).toMatchObject({
      status: 200,
      body: { disable_signup: false, external: { email: true } },
    });
  });

  test('rest checks the signature and reads public tables under row level security', async () => {
    await sql(
      sandbox,
      stack,
      'create table public.notes (id int, body text); alter table public.notes enable row level security; insert into public.notes values (1, $$hi$$)',
    );
    const root = await get('/rest/v1/', { apikey: service });
    expect(root).toMatchObject({ status: 200, body: { swagger: '2.0' } });
    expect(field(root.body, 'paths')).toHaveProperty('/notes');
    expect(await get('/rest/v1/notes?select=id&limit=1', { apikey: service })).toMatchObject({ status: 200, body: [{ id: 1 }] });
    expect(await get('/rest/v1/notes?select=id&limit=1', { apikey: anon })).toMatchObject({ status: 200, body: [] });
    expect(await get('/rest/v1/nothing', { apikey: anon })).toMatchObject({ status: 404, body: { code: 'PGRST205' } });
    const foreign = `Bearer ${sign('service_role', 'another-secret')}`;
    const refused = await get('/rest/v1/', { apikey: service, authorization: foreign });
    expect(refused).toMatchObject({ status: 401, body: { code: 'PGRST301', message: 'JWSError JWSInvalidSignature' } });
    const expired = `Bearer ${sign('service_role', jwtSecret, { exp: 1 })}`;
    expect(await get('/rest/v1/', { apikey: service, authorization: expired })).toMatchObject({ status: 401, body: { code: 'PGRST303' } });
  });

  test('storage answers its status without a key and its buckets with a good token only', async () => {
    expect(await get('/storage/v1/status')).toMatchObject({ status: 200, text: '' });
    expect(await get('/storage/v1/bucket', { authorization: `Bearer ${service}` })).toMatchObject({ status: 200, body: [] });
    const foreign = { authorization: `Bearer ${sign('service_role', 'another-secret')}` };
    expect(await get('/storage/v1/bucket', foreign)).toMatchObject({ status: 400, body: { message: 'signature verification failed' } });
  });

  test('/pg/query runs SQL as a superuser, several statements, the last result, SQLSTATE on errors', async () => {
    const last = await sql(sandbox, stack, 'select 1 as a; select current_user, current_setting($$max_connections$$) as max');
    expect(last).toMatchObject({ status: 200, body: [{ current_user: 'supabase_admin', max: '77' }] });
    expect(await sql(sandbox, stack, 'select nonsense')).toMatchObject({
      status: 400,
      body: { code: '42703', message: 'column "nonsense" does not exist' },
    });
    const connection = `postgresql://postgres:${stack.env.POSTGRES_PASSWORD}@db:5432/postgres`;
    const encrypted = { 'x-connection-encrypted': encryptConnection(connection, stack.env.PG_META_CRYPTO_KEY ?? '') };
    expect((await sql(sandbox, stack, 'select current_user, rolsuper from pg_roles where rolname = current_user', encrypted)).body).toEqual(
      [{ current_user: 'postgres', rolsuper: false }],
    );
  });

  test('roles, schemas, grants and publication are those of Supabase', async () => {
    const roles = await sql(
      sandbox,
      stack,
      `select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname in ('supabase_admin', 'postgres', 'anon', 'authenticated', 'service_role', 'authenticator') order by 1`,
    );
    expect(roles.body).toEqual([
      { rolname: 'anon', rolsuper: false, rolbypassrls: false, rolcanlogin: false },
      { rolname: 'authenticated', rolsuper: false, rolbypassrls: false, rolcanlogin: false },
      { rolname: 'authenticator', rolsuper: false, rolbypassrls: false, rolcanlogin: true },
      { rolname: 'postgres', rolsuper: false, rolbypassrls: true, rolcanlogin: true },
      { rolname: 'service_role', rolsuper: false, rolbypassrls: true, rolcanlogin: false },
      { rolname: 'supabase_admin', rolsuper: true, rolbypassrls: true, rolcanlogin: true },
    ]);
    const owners = await sql(
      sandbox,
      stack,
      `select schemaname || '.' || tablename as name, tableowner as owner, rowsecurity from pg_tables where schemaname in ('auth', 'storage') order by 1`,
    );
    expect(owners.body).toEqual(
      expect.arrayContaining([
        { name: 'auth.users', owner: 'supabase_auth_admin', rowsecurity: true },
        { name: 'storage.objects', owner: 'supabase_storage_admin', rowsecurity: true },
      ]),
    );
    expect((await sql(sandbox, stack, 'select pubname from pg_publication')).body).toEqual([{ pubname: 'supabase_realtime' }]);
  });

  test('a later POSTGRES_PASSWORD does not change the roles: everything that logs in fails until it is put back', async () => {
    const before = stack.env.POSTGRES_PASSWORD ?? '';
    stack.env.POSTGRES_PASSWORD = 'another';
    await saveEnv();
    expect((await sql(sandbox, stack, 'select 1 as one')).body, 'nothing changes before the deployment').toEqual([{ one: 1 }]);
    await call(sandbox, 'compose.stop', { composeId: stack.composeId });
    expect((await get('/storage/v1/status')).status).toBe(404);
    await call(sandbox, 'compose.start', { composeId: stack.composeId });
    expect((await sql(sandbox, stack, 'select 1 as one')).body, 'start does not read it either').toEqual([{ one: 1 }]);
    await deploy(sandbox, stack.composeId, 'password changed');
    expect(await sql(sandbox, stack, 'select 1')).toMatchObject({ status: 400, body: { code: '28P01' } });
    expect((await get('/auth/v1/admin/users', { apikey: service })).status).toBe(500);
    stack.env.POSTGRES_PASSWORD = before;
    await saveEnv();
    await deploy(sandbox, stack.composeId, 'password back');
    expect((await sql(sandbox, stack, 'select count(*)::int as notes from public.notes')).body, 'the data stayed').toEqual([{ notes: 1 }]);
  });

  test('the realtime defect: websockets find no tenant until the seed is named like the route', async () => {
    const shake = () => {
      const headers = {
        apikey: anon,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      };
      return new Promise<string>((resolve, reject) => {
        const socket = tls.connect({ host: '127.0.0.1', port: sandbox.gateway.httpsPort, servername: stack.host, ca: sandbox.ca }, () => {
          const lines = Object.entries({ host: stack.host, ...headers }).map(([name, value]) => `${name}: ${value}`);
          socket.write(`GET /realtime/v1/websocket HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
        });
        socket.once('data', (data) => {
          resolve(data.toString('latin1'));
          socket.destroy();
        });
        socket.on('error', reject);
      });
    };
    expect(await shake()).toMatch(/^HTTP\/1\.1 403 /);
    const text = field(await call(sandbox, `compose.one?composeId=${stack.composeId}`), 'body', 'composeFile');
    const composeFile = text.replace('SEED_SELF_HOST: "true"', 'SEED_SELF_HOST: "true"\n      SELF_HOST_TENANT_NAME: realtime');
    await call(sandbox, 'compose.update', { composeId: stack.composeId, composeFile });
    await deploy(sandbox, stack.composeId, 'tenant named');
    const answer = await shake();
    expect(answer).toMatch(/^HTTP\/1\.1 101 /);
    // The sample of RFC 6455 §1.3.
    expect(answer).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  test('domains change with the next deployment only; deleting takes row, stack and data', async () => {
    const domain = field<{ domainId: string }>(await call(sandbox, `domain.byComposeId?composeId=${stack.composeId}`), 'body', 0);
    await call(sandbox, 'domain.update', { domainId: domain.domainId, host: 'moved.test' });
    expect((await get('/storage/v1/status')).status).toBe(200);
    await deploy(sandbox, stack.composeId, 'moved');
    expect((await ask(sandbox, 'moved.test', '/storage/v1/status')).status).toBe(200);
    expect((await ask(sandbox, stack.host, '/storage/v1/status')).status).toBe(404);
    await call(sandbox, 'compose.delete', { composeId: stack.composeId, deleteVolumes: true });
    expect(sandbox.state()).toMatchObject({ composes: [], domains: [], mounts: [], stacks: [] });
    expect((await ask(sandbox, 'moved.test', '/storage/v1/status', { secure: false })).status).toBe(404);
    await call(sandbox, 'project.remove', { projectId: stack.projectId });
    expect(sandbox.state()).toMatchObject({ projects: [], environments: [] });
  });

  test('two stacks have their own roles and passwords; removing a project leaves its containers as orphans', async () => {
    const [one, other] = [await deployStack(sandbox), await deployStack(sandbox)];
    expect(one.env.POSTGRES_PASSWORD).not.toBe(other.env.POSTGRES_PASSWORD);
    expect((await sql(sandbox, one, 'select 1 as a')).body).toEqual([{ a: 1 }]);
    expect((await sql(sandbox, other, 'select 1 as a')).body).toEqual([{ a: 1 }]);
    expect((await sql(sandbox, other, 'select 1', { apikey: one.env.SERVICE_ROLE_KEY ?? '' })).status).toBe(401);
    await call(sandbox, 'project.remove', { projectId: one.projectId });
    expect(sandbox.state().stacks.map((left) => left.composeId)).toContain(one.composeId);
  });
});
