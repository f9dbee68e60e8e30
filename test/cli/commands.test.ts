import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageFile } from '../../src/package-root.ts';
import { createAuthority } from '../helpers/certificates.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { type FakeServer, startFakeServer } from '../helpers/fake-dokploy.ts';

let place: ReturnType<typeof temporaryHome>;
let server: FakeServer;
beforeEach(async () => {
  place = temporaryHome();
  server = await startFakeServer();
  server.on('/api/health', { json: { ok: true } });
  server.on('/api/settings.getDokployVersion', { json: 'v0.30.2' });
  server.on('/api/user.getPermissions', { json: { project: { create: true, delete: true } } });
});
afterEach(async () => {
  await server.close();
  place.remove();
});

const keyValue = 'dk-0123456789abcdef-canary';
const env = { DOKPLOY_KEY: keyValue };
const run = (...args: string[]) => capstan(place.home, args, env);
const json = async (...args: string[]) => jsonOf(await run(...args, '--json'));
const addMain = (...more: string[]) => run('dokploy', 'add', 'main', '--url', server.url, '--key', 'env:DOKPLOY_KEY', ...more);
const errorOf = (value: Record<string, unknown>) => value['error'];

test('the version is that of the package, and help names commands and exit codes', async () => {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
  expect(await run('--version')).toEqual({ exit: 0, stdout: `${version}\n`, stderr: '' });
  const help = await run('--help');
  expect(help).toMatchObject({ exit: 0, stderr: '' });
  for (const word of [
    'serve',
    'demo',
    'sandbox',
    'run',
    'workflows',
    'runs',
    'hold',
    'release',
    'approve',
    'dokploy',
    'targets',
    'secrets',
    'worker',
    'check',
    '3 waits for a person',
  ])
    expect(help.stdout).toContain(word);
  expect((await run('runs', 'advance', '--help')).stdout).toContain('--payload');
});

test.each([
  [['runz'], 'has no command "runz"', 'Did you mean run'],
  [['runs', 'lst'], 'has no command "lst"', 'Did you mean list'],
  [['runs'], 'needs one of its commands', 'See'],
  [['--red-only'], 'has no flag "--red-only"', 'See'],
  [['runs', 'list', '--statsu', 'done'], 'has no flag "--statsu"', 'Did you mean --status'],
  [['runs', 'list', '--status', 'dome'], '--status is one of', 'Did you mean done'],
  [['workflows', 'a', 'b'], 'does not know what to do with "b"', 'See'],
  [['runs', 'rollback', 'x'], '--to', 'See'],
  [['runs', 'list', '--limit', 'many'], 'whole number', 'See'],
  [['hold'], 'takes one of RUN, --target NAME and --all', 'See'],
  [['hold', 'shop', '--all'], 'takes one of RUN, --target NAME and --all', 'See'],
])('%j is wrong usage: exit 2, a code, and the nearest known word', async (args, message, fix) => {
  const ended = await run(...args);
  expect(ended.exit).toBe(2);
  expect(ended.stdout).toBe('');
  const [first, second] = ended.stderr.split('\n');
  expect(first).toContain(message);
  expect(first).toMatch(/^USAGE: /);
  expect(second).toContain(fix);
});

test('with --json an error is one document on standard output', async () => {
  const ended = await run('runs', 'show', 'nobody', '--json');
  expect(ended).toMatchObject({ exit: 1, stderr: '' });
  expect(errorOf(jsonOf(ended))).toMatchObject({ code: 'RUN_UNKNOWN', message: expect.any(String), fix: expect.any(String) });
});

test('workflows are listed and described', async () => {
  expect(await json('workflows')).toMatchObject({
    workflows: expect.arrayContaining([{ name: 'setup-supabase', title: expect.any(String) }]),
  });
  expect(await json('workflows', 'deploy_supabase')).toMatchObject({
    name: 'setup-supabase',
    steps: expect.arrayContaining([expect.stringContaining('review')]),
  });
  expect(errorOf(await json('workflows', 'nope'))).toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
});

test('a Dokploy is asked before it is stored, and http is warned of', async () => {
  const ended = await addMain('--json');
  expect(ended.exit).toBe(0);
  expect(jsonOf(ended)).toMatchObject({
    name: 'main',
    checked: true,
    version: 'v0.30.2',
    warnings: [{ code: 'KEY_SENT_IN_CLEAR' }],
  });
  expect(server.asked.find((asked) => asked.path.includes('Version'))?.headers['x-api-key']).toBe(keyValue);
  expect(await json('dokploy', 'list')).toMatchObject({ dokploys: [{ name: 'main', url: server.url, ca: false }] });
  expect(errorOf(jsonOf(await addMain('--json')))).toMatchObject({ code: 'DOKPLOY_EXISTS' });
  expect((await run('dokploy', 'remove', 'main')).exit).toBe(0);
  expect(errorOf(await json('dokploy', 'remove', 'main'))).toMatchObject({ code: 'DOKPLOY_UNKNOWN' });
});

test('a Dokploy that refuses, or lacks permissions, is not stored; --no-check stores it unasked', async () => {
  server.on('/api/user.getPermissions', { json: { project: { create: true, delete: false } } });
  expect(errorOf(jsonOf(await addMain('--json')))).toMatchObject({
    code: 'DOKPLOY_PERMISSIONS',
    details: { missing: expect.arrayContaining(['project.delete']) },
  });
  server.on('/api/settings.getDokployVersion', { status: 401, text: '' });
  const refused = await addMain();
  expect(refused.exit).toBe(1);
  expect(refused.stderr.split('\n')[0]).toMatch(/^DOKPLOY_[A-Z_]+: /);
  expect(await json('dokploy', 'list')).toEqual({ dokploys: [] });
  const before = server.asked.length;
  expect((await addMain('--no-check')).exit).toBe(0);
  expect(server.asked).toHaveLength(before);
});

test('ca, headers and resolve are stored with the row and used for the check', async () => {
  const { ca } = createAuthority();
  await json('dokploy', 'list'); // makes the home, which with a file of ours alone would be somebody else's
  writeFileSync(join(place.home, 'ca.pem'), ca);
  const port = new URL(server.url).port;
  const args = [
    'dokploy',
    'add',
    'far',
    '--url',
    `http://dokploy.test:${port}`,
    '--key',
    'env:DOKPLOY_KEY',
    '--resolve',
    `dokploy.test:${port}:127.0.0.1`,
  ];
  expect(
    await capstan(place.home, [...args, '--header', 'X-Door=env:DOOR', '--ca', join(place.home, 'ca.pem')], {
      ...env,
      DOOR: 'door-value-12345',
    }),
  ).toMatchObject({ exit: 0 });
  expect(server.asked.at(-1)?.headers).toMatchObject({ 'x-door': 'door-value-12345' });
  expect(await json('dokploy', 'list')).toMatchObject({
    dokploys: [{ name: 'far', ca: true, headers: ['X-Door'], resolve: [`dokploy.test:${port}:127.0.0.1`] }],
  });
});

test.each([
  ['a key that is a value', ['--url', 'http://a.test', '--key', 'dk-0123456789abcdef-canary'], 'SECRET_IN_ARGUMENT'],
  [
    'a header that is a value',
    ['--url', 'http://a.test', '--key', 'env:DOKPLOY_KEY', '--header', 'X=dk-0123456789abcdef-canary'],
    'SECRET_IN_ARGUMENT',
  ],
  ['no key', ['--url', 'http://a.test'], 'USAGE'],
  ['a variable that is not set', ['--url', 'http://a.test', '--key', 'env:NOT_SET'], 'SECRET_UNREADABLE'],
  ['a wrong address', ['--url', 'a.test', '--key', 'env:DOKPLOY_KEY'], 'URL_INVALID'],
  ['a metadata address', ['--url', 'http://169.254.169.254', '--key', 'env:DOKPLOY_KEY'], 'ADDRESS_REFUSED'],
  ['a wrong resolve', ['--url', 'http://a.test', '--key', 'env:DOKPLOY_KEY', '--resolve', 'nonsense'], 'RESOLVE_INVALID'],
  ['a ca that is none', ['--url', 'http://a.test', '--key', 'env:DOKPLOY_KEY', '--ca', packageFile('package.json')], 'CA_INVALID'],
])('%s is refused by code and stores nothing', async (_what, flags, code) => {
  const ended = await run('dokploy', 'add', 'x', ...flags, '--json');
  expect(ended.exit).not.toBe(0);
  expect(errorOf(jsonOf(ended))).toMatchObject({ code });
  expect(ended.stdout + ended.stderr).not.toContain(keyValue);
  expect(await json('dokploy', 'list')).toEqual({ dokploys: [] });
});

test('targets are added with references, shown without values, and removed', async () => {
  const added = await run(
    'targets',
    'add',
    'prod',
    '--url',
    'https://db.example.com',
    '--secret',
    'serviceRoleKey=env:DOKPLOY_KEY',
    '--tag',
    'production',
    '--json',
  );
  expect(jsonOf(added)).toMatchObject({ name: 'prod', kind: 'self-hosted', tags: ['production'], secrets: ['serviceRoleKey'] });
  expect(await json('targets', 'list')).toMatchObject({ targets: [{ name: 'prod', url: 'https://db.example.com', tags: ['production'] }] });
  const shown = await run('targets', 'show', 'prod', '--json');
  expect(jsonOf(shown)).toMatchObject({ record: { secrets: { serviceRoleKey: expect.stringMatching(/^secret:/) } } });
  expect(shown.stdout).not.toContain(keyValue);
  expect(errorOf(await json('targets', 'add', 'prod', '--url', 'https://b.example.com'))).toMatchObject({ code: 'TARGET_EXISTS' });
  expect(errorOf(await json('targets', 'add', 'q', '--url', 'https://b.example.com', '--kind', 'moon'))).toMatchObject({ code: 'USAGE' });
  expect((await run('targets', 'remove', 'prod')).exit).toBe(0);
  expect(errorOf(await json('targets', 'show', 'prod'))).toMatchObject({ code: 'TARGET_UNKNOWN' });
});

test('a script starts a run, which waits for a person: exit 3; then it is advanced, held, released, cancelled', async () => {
  const started = await run('run', 'setup-supabase', '--name', 'shop', '--json');
  expect(started.exit).toBe(3);
  expect(jsonOf(started)).toMatchObject({ name: 'shop', state: 'connect', status: 'waiting' });
  expect(await json('runs', 'list')).toMatchObject({ runs: [{ name: 'shop', status: 'waiting' }] });
  expect(errorOf(await json('runs', 'advance', 'shop', 'approve'))).toMatchObject({ code: 'EVENT_NOT_ACCEPTED' });
  expect(errorOf(await json('runs', 'advance', 'shop', 'connect', '--set', 'dokploy=main', '--expect', '9'))).toMatchObject({
    code: 'RUN_MOVED',
  });
  const advanced = await run('runs', 'advance', 'shop', 'connect', '--set', 'dokploy=main', '--wait', '--key', 'k1', '--json');
  expect(advanced.exit).toBe(0);
  expect(jsonOf(advanced)).toMatchObject({ state: 'connect', error: { code: 'DOKPLOY_UNKNOWN' } });
  expect(await json('runs', 'advance', 'shop', 'connect', '--set', 'dokploy=main', '--key', 'k1')).toMatchObject({ replayed: true });
  expect(await json('hold', 'shop')).toMatchObject({ runs: [{ status: 'held' }] });
  expect(await json('release', '--all')).toMatchObject({ runs: [{ status: 'waiting' }] });
  for (const target of ['main', 'elsewhere']) await run('targets', 'add', target, '--url', `https://${target}.example.com`);
  expect(await json('hold', '--target', 'elsewhere')).toEqual({ runs: [] });
  expect(await json('hold', '--target', 'main')).toMatchObject({ runs: [{ name: 'shop', status: 'held' }] });
  expect(await json('release', '--target', 'main')).toMatchObject({ runs: [{ name: 'shop', status: 'waiting' }] });
  expect(errorOf(await json('hold', '--target', 'nowhere'))).toMatchObject({ code: 'TARGET_UNKNOWN' });
  expect(await json('runs', 'show', 'shop', '--timeline')).toMatchObject({
    events: expect.arrayContaining([expect.objectContaining({ type: 'connect' })]),
  });
  expect(await json('runs', 'show', 'shop', '--effects')).toMatchObject({
    effects: [{ title: 'Check the Dokploy connection', status: 'failed' }],
  });
  expect(errorOf(await json('runs', 'resolve', 'shop', '--as', 'retry'))).toMatchObject({ code: 'RESOLVE_REFUSED' });
  expect(await json('runs', 'rollback', 'shop', '--to', '0', '--dry-run')).toMatchObject({ to: 0, undo: [], refusals: [] });
  expect(errorOf(await json('runs', 'rollback', 'shop', '--to', 'nowhere'))).toMatchObject({ code: 'CHECKPOINT_UNKNOWN' });
  expect(await json('runs', 'cancel', 'shop')).toMatchObject({ status: 'cancelled' });
  expect(await json('runs', 'list', '--status', 'cancelled', '--limit', '1')).toMatchObject({ runs: [{ name: 'shop' }] });
});

test('a script from a file sends its events in order and stops at the first refusal', async () => {
  await addMain('--no-check');
  server.on('/api/health', { status: 404, json: { message: 'no' } });
  const file = join(place.home, 'script.json');
  writeFileSync(
    file,
    JSON.stringify({
      events: [
        { event: 'connect', payload: { dokploy: 'main' } },
        { event: 'name', payload: { name: 'shop' } },
      ],
    }),
  );
  const ended = await run('run', 'setup-supabase', '--input', file, '--json');
  expect(ended.exit).toBe(1);
  expect(errorOf(jsonOf(ended))).toMatchObject({ code: 'EVENT_NOT_ACCEPTED', details: { state: 'connect' } });
  writeFileSync(file, '{"evnts": []}');
  expect(errorOf(await json('run', 'setup-supabase', '--input', file))).toMatchObject({ code: 'SCRIPT_INVALID' });
  rmSync(file);
  expect(errorOf(await json('run', 'setup-supabase', '--input', file))).toMatchObject({ code: 'SCRIPT_INVALID' });
  expect(errorOf(await json('run', 'setup-supabase', '--set', 'moon=1'))).toMatchObject({ code: 'INPUT_INVALID' });
  expect(errorOf(await json('run', 'setup-supabase', '--set', 'name=1abc'))).toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('p1abc'),
  });
});

test.each([
  ['approve', ['approve', 'shop']],
  ['secrets show', ['secrets', 'show', 'prod']],
])('%s is for a person at a terminal only: exit 2', async (_name, args) => {
  const ended = await run(...args, '--json');
  expect(ended.exit).toBe(2);
  expect(errorOf(jsonOf(ended))).toMatchObject({ code: 'TERMINAL_REQUIRED' });
});

test('a worker without work ends by itself, and a second one behind a first does not stay', async () => {
  expect(await json('worker', '--until-idle')).toEqual({ ended: 'nothing is left to do' });
});

test('check tells each part with its fix, and fails where something cannot work', async () => {
  await addMain('--no-check');
  const good = await run('check', '--json');
  expect(good.exit).toBe(0);
  const names = (value: Record<string, unknown>) =>
    (value['checks'] as { check: string; state: string; fix?: string }[]).map((row) => `${row.check} ${row.state}`);
  expect(names(jsonOf(good))).toEqual(
    expect.arrayContaining(['node ok', 'home ok', 'file system ok', 'key ok', 'store ok', 'dokploy main ok']),
  );
  server.on('/api/health', { status: 502, text: 'bad gateway' });
  const bad = await run('check', '--json');
  expect(bad.exit).toBe(1);
  expect(names(jsonOf(bad))).toContain('dokploy main fail');
  rmSync(join(place.home, 'key.json'));
  const lost = await run('check');
  expect(lost.exit).toBe(1);
  expect(lost.stdout).toMatch(/fail {2}key: KEY_MISSING: .*\n {6}Put the key file back/);
});

test('an unknown setting in the environment is refused loudly', async () => {
  const ended = await capstan(place.home, ['runs', 'list', '--json'], { CAPSTAN_HOMES: '/x' });
  expect(ended.exit).toBe(1);
  expect(errorOf(jsonOf(ended))).toMatchObject({ code: 'CONFIG_INVALID' });
});
