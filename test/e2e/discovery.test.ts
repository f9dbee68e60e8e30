/** Instances are found on three Dokploys at once, registered on a person's word, and repaired by an agent: real processes, a real MCP client. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freeName } from '../../src/discovery.ts';
import { isSupabase } from '../../src/effects/dokploy/discover.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { atTerminal, capstan, jsonOf, whyNoTerminal } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { connect, type View } from '../helpers/mcp-clients.ts';
import { call, createService, openSandbox } from '../sandbox/client.ts';

type Opened = Awaited<ReturnType<typeof openSandbox>>;
const instances: Record<string, string[]> = {
  one: ['gen-b', 'gen-b-split-second', 'gen-c'],
  two: ['http-urls'],
  three: ['gen-a', 'not-deployed'],
};
const opened = new Map<string, Opened>();
const place = temporaryHome();
beforeAll(async () => {
  for (const [name, wanted] of Object.entries(instances)) opened.set(name, await openSandbox({ instances: wanted }));
  // A service that is no Supabase, and one whose name says it is.
  await createService(twin('two'), 'services:\n  supabase:\n    image: nginx:1\n');
}, 120_000);
afterAll(async () => {
  for (const { close } of opened.values()) await close();
  place.remove();
}, 60_000);

function twin(name: string): Sandbox {
  const found = opened.get(name);
  if (!found) throw new Error(`no sandbox ${name}`);
  return found.sandbox;
}

const applied = (name: string) =>
  twin(name)
    .journal()
    .filter((entry) => entry.applied).length;

function addArgs(name: string, ...more: string[]): string[] {
  const { url, caFile, resolve, templateBaseUrl } = twin(name);
  const flags = ['--url', url, '--key', 'env:SANDBOX_KEY', '--ca', caFile, '--template-base-url', templateBaseUrl];
  return ['dokploy', 'add', name, ...flags, ...resolve.flatMap((entry) => ['--resolve', entry]), ...more];
}
const add = (name: string, ...more: string[]) => capstan(place.home, addArgs(name, ...more), { SANDBOX_KEY: twin(name).apiKey });

type FoundRow = {
  name: string;
  dokploy: string;
  registered: boolean;
  codes: string[];
  counts: { critical: number };
  generation: { id: string };
};
const foundOf = (document: Record<string, unknown>) => document['found'] as FoundRow[]; // shape of Discovery
const secretsOf = async (name: string): Promise<string[]> => {
  const values: string[] = [twin(name).apiKey];
  for (const { composeId } of twin(name).state().composes) {
    const { body } = await call(twin(name), `compose.one?composeId=${composeId}`);
    const env = envVariables(parseEnv(String(Reflect.get(Object(body), 'env') ?? '')));
    for (const key of ['POSTGRES_PASSWORD', 'JWT_SECRET', 'ANON_KEY', 'SERVICE_ROLE_KEY'])
      if (env.has(key)) values.push(env.get(key) ?? '');
  }
  return values;
};

test('three Dokploys are added and searched; without a terminal nothing is registered, with --register all of one', async () => {
  const first = await add('one', '--json');
  expect(first.exit).toBe(0);
  const scan = Object(jsonOf(first)['scan']) as Record<string, unknown>;
  expect(scan['summary']).toMatch(/^3 found, 2 critical: gen-b(-split-second)? \(/);
  expect(
    foundOf(scan)
      .map(({ name, registered, generation }) => [name, registered, generation.id])
      .sort(),
  ).toEqual([
    ['gen-b', false, 'B'],
    ['gen-b-split-second', false, 'B'],
    ['gen-c', false, 'C'],
  ]);
  expect(await add('two')).toMatchObject({ exit: 0, stdout: expect.stringContaining('1 found, 0 critical') });
  expect(await add('three', '--register')).toMatchObject({ exit: 0, stdout: expect.stringContaining('Registered gen-a, not-deployed') });
  const listed = jsonOf(await capstan(place.home, ['targets', 'list', '--json']))['targets'];
  expect((listed as { name: string }[]).map(({ name }) => name)).toEqual(['gen-a', 'not-deployed']);
}, 120_000);

test('all three are searched at once; the whole is counted, and nobody’s secret is told', async () => {
  const before = Object.keys(instances).map(applied);
  const ended = await capstan(place.home, ['dokploy', 'scan', '--json']);
  const document = jsonOf(ended);
  expect(document['summary']).toMatch(/^6 found, 4 critical: /);
  expect(
    foundOf(document)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['gen-a', 'gen-b', 'gen-b-split-second', 'gen-c', 'http-urls', 'not-deployed']);
  expect(
    foundOf(document)
      .filter(({ registered }) => registered)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['gen-a', 'not-deployed']);
  expect(document).toMatchObject({ looked: 7, unknown: [] });
  for (const name of Object.keys(instances))
    for (const value of await secretsOf(name)) expect((ended.stdout + ended.stderr).includes(value)).toBe(false);
  expect(Object.keys(instances).map(applied)).toEqual(before);
}, 60_000);

test('one that does not answer hides nobody: it is said', async () => {
  twin('two').setFaults(['expired-key']);
  const document = jsonOf(await capstan(place.home, ['dokploy', 'scan', '--json']));
  twin('two').setFaults([]);
  expect(document['summary']).toMatch(/^5 found, 4 critical: .*; 1 could not be looked at$/);
  expect(document['unknown']).toEqual([expect.stringContaining('"two"')]);
}, 60_000);

test.skipIf(whyNoTerminal() !== undefined)(
  'at a terminal the person is asked, and a no registers nothing',
  async () => {
    const no = await atTerminal(place.home, ['dokploy', 'scan', 'two'], [{ when: 'Register 1 as targets?', type: 'n' }]);
    expect(no).toMatchObject({ exit: 0, screen: expect.stringContaining('Not registered: http-urls') });
    const yes = await atTerminal(place.home, ['dokploy', 'scan', 'two'], [{ when: 'Register 1 as targets?', type: 'y' }]);
    expect(yes).toMatchObject({ exit: 0, screen: expect.stringContaining('Registered http-urls') });
  },
  60_000,
);

test('an agent finds them, and repairs every generation: approved by the person, proven by live requests', async () => {
  expect(await capstan(place.home, ['dokploy', 'scan', 'one', '--register'])).toMatchObject({ exit: 0 });
  const asked: string[] = [];
  const accept = (message: string) => {
    asked.push(message);
    return 'accept' as const;
  };
  const client = await connect('modern', { home: place.home, person: accept });
  try {
    const { structuredContent } = await client.raw('list_targets', { discover: true });
    const answer = Object(structuredContent);
    expect(answer.summary).toMatch(/^6 found, 4 critical: /);
    expect(answer.next).toMatchObject({ who: 'you' });
    expect(answer.called.text).toMatch(/^<outside-[0-9a-f]{24}>\n/);
    const told = JSON.stringify(structuredContent);
    for (const name of Object.keys(instances)) for (const value of await secretsOf(name)) expect(told.includes(value)).toBe(false);

    const settled = async (run: string): Promise<View> => {
      let view = await client.call('inspect_run', { run, waitMs: 40_000 });
      while (view.status === 'working') view = await client.call('inspect_run', { run, waitMs: 40_000, since: view.version });
      return view;
    };
    for (const [target, dokploy] of [
      ['gen-b', 'one'],
      ['gen-b-split-second', 'one'],
      ['gen-a', 'three'],
    ] as const) {
      const { runId: run } = await client.call('start_workflow', { workflow: 'dokploy_regenerate_keys', input: { target } });
      const review = await settled(run);
      expect(review).toMatchObject({ state: 'review', status: 'waiting' });
      await client.call('advance_run', { run, event: 'approve', waitMs: 1_000 });
      const done = await settled(run);
      expect(done).toMatchObject({ state: 'done', status: 'done' });
      const { structuredContent: healthy } = await client.raw('diagnose_target', { target });
      const codes = (Object(healthy).findings as { code: string }[]).map(({ code }) => code);
      expect(codes.filter((code) => /^(KEY_|KEYS_|LIVE_)/.test(code))).toEqual([]);
      for (const value of await secretsOf(dokploy)) expect(JSON.stringify([review, done, healthy]).includes(value)).toBe(false);
    }
    expect(asked).toHaveLength(3);
  } finally {
    await client.close();
  }
}, 180_000);

test.each([
  ['the images of auth and rest', 'services:\n  a: {image: supabase/gotrue:v2}\n  b: {image: postgrest/postgrest:v12}\n', '', true],
  ['the three variables beside a database', 'services:\n  db: {image: x}\n', 'JWT_SECRET=1\nANON_KEY=2\nSERVICE_ROLE_KEY=3', true],
  ['a name alone', 'services:\n  supabase: {image: nginx}\n', '', false],
  ['the variables without a database', 'services:\n  web: {image: x}\n', 'JWT_SECRET=1\nANON_KEY=2\nSERVICE_ROLE_KEY=3', false],
  ['binary rubbish', '\0\u0001{{', '\0\u0001', false],
])('told by %s: %#', (_what, composeFile, env, is) => {
  expect(isSupabase({ composeFile, env })).toBe(is);
});

test('a free name is made of the project’s, told apart by environment and then by number', () => {
  expect(freeName({ project: 'My Shop!', environment: 'production' }, new Set())).toBe('my-shop');
  expect(freeName({ project: 'My Shop!', environment: 'production' }, new Set(['my-shop']))).toBe('my-shop-production');
  expect(freeName({ project: 'My Shop!', environment: 'production' }, new Set(['my-shop', 'my-shop-production']))).toBe('my-shop-2');
  expect(freeName({ project: '店', environment: '' }, new Set())).toBe('supabase');
});
