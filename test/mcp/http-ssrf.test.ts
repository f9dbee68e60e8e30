/** What an agent names over HTTP leads into no network and no file that is not the owner's to be named (design §6): judged by a trap. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openApp } from '../../src/app.ts';
import { createLog } from '../../src/log.ts';
import { mintToken } from '../../src/mcp/http/bearer.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { createScrubber } from '../../src/scrub.ts';
import { type FakeServer, startFakeServer } from '../helpers/fake-dokploy.ts';
import { type HttpServer, startHttpServer } from '../helpers/http-server.ts';
import { connect, mainFile, type TestClient, type View } from '../helpers/mcp-clients.ts';
import { addDokploy } from '../helpers/wizard-stage.ts';

let folder: string;
let sandbox: Sandbox;
let server: HttpServer;
let agent: TestClient;
/** Answers on loopback to whoever comes; nobody may. */
let trap: FakeServer;
/** Sends everybody on to the trap. */
let detour: FakeServer;
let mailTraps: { server: Server; hits: () => number }[];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'capstan-ssrf-')));
  sandbox = await startSandbox({ dataDir: join(folder, 'twin') });
  trap = await startFakeServer();
  detour = await startFakeServer();
  mailTraps = (await Promise.all([587, 465, 25].map(listenAt))).filter((each) => each !== undefined);
  mkdirSync(join(folder, 'secrets'));
  writeFileSync(join(folder, 'secrets', 'mail'), 'password-of-the-mail-server');
  mkdirSync(join(folder, 'seeds'));
  writeFileSync(join(folder, 'seeds', 'good.sql'), 'select 1;');
  writeFileSync(join(folder, 'outside.sql'), 'select 2;');
  symlinkSync(join(folder, 'outside.sql'), join(folder, 'seeds', 'link.sql'));
  const home = join(folder, 'home');
  const { id, token, hash } = mintToken();
  const scrubber = createScrubber();
  const app = await openApp({ config: { home, logLevel: 'silent' }, log: createLog({ level: 'silent', scrubber }), scrubber });
  await addDokploy(app, sandbox);
  await addDokploy(app, sandbox, { name: 'moved', url: detour.url });
  await addDokploy(app, sandbox, { name: 'retold' });
  const { options, ...row } = await app.registry.dokploy('retold');
  await app.registry.removeDokploy('retold');
  const key = app.vault.stageSecret('dokploy:retold', 'key', sandbox.apiKey);
  const retold = { ...row, keySecret: `secret:${key.id}`, options: { ...options, templateBaseUrl: detour.url } };
  await app.registry.addDokploy(retold, [key]);
  await app.registry.addTarget({ name: 'shop', kind: 'self-hosted', tags: [], record: {} }, []);
  await app.tokens.add({ id, name: 'ann', hash, role: 'operator', targets: null, expiresAt: null });
  app.close();
  const folders = ['--secrets-from', join(folder, 'secrets'), '--files-from', join(folder, 'seeds')];
  server = await startHttpServer([mainFile, 'serve', '--http', '--port', '0', ...folders], { CAPSTAN_HOME: home, CAPSTAN_LOG: 'warn' });
  agent = await connect('modern', { at: { url: server.url, token } });
}, 120_000);
afterAll(async () => {
  await agent?.close();
  await server?.stop();
  for (const each of mailTraps ?? []) each.server.close();
  await trap?.close();
  await detour?.close();
  await sandbox?.stop({ discard: true });
  rmSync(folder, { recursive: true, force: true });
});

/** Undefined where this user may not listen there. */
async function listenAt(port: number): Promise<{ server: Server; hits: () => number } | undefined> {
  let hits = 0;
  const listening = createServer((socket) => {
    hits += 1;
    socket.end('220 trap ESMTP\r\n');
  });
  return new Promise((resolve) => {
    listening.once('error', () => resolve(undefined));
    listening.listen(port, '0.0.0.0', () => resolve({ server: listening, hits: () => hits }));
  });
}

function send(run: string, event: string, payload: Record<string, unknown> = {}): Promise<View> {
  return agent.call('advance_run', { run, event, payload, waitMs: 30_000 });
}

async function atSmtp(name: string): Promise<string> {
  const { runId } = await agent.call('start_workflow', { workflow: 'setup-supabase', name, input: { dokploy: 'home' }, waitMs: 30_000 });
  await send(runId, 'name', { name });
  expect(await send(runId, 'generate')).toMatchObject({ state: 'smtp' });
  return runId;
}

const inside = [
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '169.254.0.1',
  '169.254.169.254',
  '[::1]',
  '::1',
  '::ffff:127.0.0.1',
  'fd00:ec2::254',
  'localhost',
  'localhost.',
  'LOCALHOST',
  'metadata.google.internal',
];

test('a mail server that lies inside is refused in every spelling, and nobody was there', { timeout: 120_000 }, async () => {
  const run = await atSmtp('mail');
  const rest = { user: 'me', pass: `file:${join(folder, 'secrets', 'mail')}`, adminEmail: 'me@shop.test', senderName: 'Shop' };
  for (const host of inside) {
    const answer = await agent.raw('advance_run', { run, event: 'smtp', payload: { host, port: 587, ...rest }, waitMs: 30_000 });
    const text = answer.content[0]?.text ?? '';
    expect([host, /ADDRESS_REFUSED|PAYLOAD_INVALID|SMTP_PLACEHOLDER|SMTP_FAKE/.test(text)]).toEqual([host, true]);
    expect(await agent.call('inspect_run', { run })).toMatchObject({ state: 'smtp', status: 'waiting' });
  }
  expect(mailTraps.map(({ hits }) => hits())).toEqual(mailTraps.map(() => 0));
});

test('a host of the instance that is an address or a name of inside is refused before anything is asked there', async () => {
  const run = await atSmtp('hosts');
  expect(await send(run, 'skipSmtp')).toMatchObject({ state: 'domain' });
  const asked = trap.asked.length;
  // A name is only looked up here; every probe that would connect refuses that of the metadata service (test/effects/addresses.test.ts).
  const names = inside.filter((host) => host !== 'metadata.google.internal');
  for (const host of [...names, `127.0.0.1:${trap.port}`, trap.url, 'user@shop.test', '../shop', 'shop.test/x']) {
    const { content } = await agent.raw('advance_run', { run, event: 'domain', payload: { host }, waitMs: 30_000 });
    expect([host, content[0]?.text]).toEqual([host, expect.stringMatching(/PAYLOAD_INVALID|ADDRESS_REFUSED|DOMAIN_[A-Z]+/)]);
  }
  expect(trap.asked).toHaveLength(asked);
});

test('an address in the place of a name leads nowhere', async () => {
  for (const [tool, args] of [
    ['start_workflow', { workflow: 'setup-supabase', input: { dokploy: trap.url } }],
    ['diagnose_target', { target: trap.url }],
    ['read_logs', { target: trap.url }],
    ['execute_sql', { target: `postgres://postgres@127.0.0.1:${trap.port}/postgres`, sql: 'select 1' }],
    ['inspect_schema', { target: `file://${folder}/home/key.json` }],
  ] as const) {
    const { isError, structuredContent } = await agent.raw(tool, args);
    const view = structuredContent as { error?: { code: string } } | undefined;
    expect([tool, isError === true || /UNKNOWN/.test(view?.error?.code ?? '')]).toEqual([tool, true]);
  }
  expect(trap.asked).toEqual([]);
});

test('a Dokploy and a template server that send us inside are not followed there', { timeout: 120_000 }, async () => {
  for (const status of [301, 302, 307, 308] as const) {
    detour.asked.length = 0;
    const away = { status, headers: { location: `${trap.url}/inside` } };
    for (const path of [
      '/api/health',
      '/api/settings.getDokployVersion',
      '/api/project.all',
      '/meta.json',
      '/blueprints/supabase/template.toml',
      '/blueprints/supabase/docker-compose.yml',
    ])
      detour.on(path, away);
    for (const dokploy of ['moved', 'retold']) {
      const view = await agent.call('start_workflow', { workflow: 'setup-supabase', input: { dokploy }, waitMs: 40_000 });
      expect([dokploy, view.state, view.status]).toEqual([dokploy, 'connect', 'waiting']);
      expect((view['error'] as { code: string }).code).toMatch(/^[A-Z_]+$/);
    }
    expect(detour.asked.length).toBeGreaterThanOrEqual(2); // both were asked, so both could have sent us on
  }
  expect(trap.asked).toEqual([]);
});

test('files are named in the folder of the owner only: no other path, no way out of it, no link out of it', async () => {
  const seeds = join(folder, 'seeds');
  const bad = [
    '/etc/passwd',
    `${folder}/outside.sql`,
    `${seeds}/../outside.sql`,
    `${seeds}/link.sql`,
    `${seeds}/missing.sql`,
    `${seeds}/./../../etc/passwd`,
    'good.sql',
    `${seeds}/good.sql\u0000.txt`,
    `${folder}/home/key.json`,
    seeds,
    '',
  ];
  const texts = new Set<string>();
  for (const file of bad) {
    const answer = await agent.refused('start_workflow', { workflow: 'seed-database', input: { target: 'shop', file } });
    expect([file, answer.code]).toEqual([file, 'FILE_REFUSED']);
    texts.add(answer.message);
  }
  expect(texts.size).toBe(1); // nobody learns which files there are
  const good = { workflow: 'seed-database', input: { target: 'shop', file: `${seeds}/good.sql` }, waitMs: 20_000 };
  expect((await agent.raw('start_workflow', good)).content[0]?.text).not.toContain('FILE_REFUSED');
});
