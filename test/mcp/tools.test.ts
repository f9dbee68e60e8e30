import { existsSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toolsOf } from '../../src/mcp/toolset.ts';
import { capstan } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { connect, eras, mainFile, type TestClient } from '../helpers/mcp-clients.ts';

let place: ReturnType<typeof temporaryHome>;
let client: TestClient | undefined;
beforeEach(() => {
  place = temporaryHome();
});
afterEach(async () => {
  await client?.close();
  client = undefined;
  place.remove();
});

const budgetTokens = 3_000;
const tokensOf = (value: unknown) => Math.ceil(Buffer.byteLength(JSON.stringify(value)) / 4);

test.each(eras)('a %s client gets the same static list within its budget, and nothing is opened for it', async (era) => {
  client = await connect(era, { home: place.home });
  const tools = await client.tools();
  expect(tools.map((tool) => tool.name)).toEqual([
    'list_workflows',
    'start_workflow',
    'advance_run',
    'inspect_run',
    'rollback_run',
    'cancel_run',
    'list_runs',
    'list_targets',
    'diagnose_target',
    'execute_sql',
    'inspect_schema',
    'read_logs',
  ]);
  expect(tokensOf({ tools })).toBeLessThan(budgetTokens);
  expect(existsSync(place.home) ? readdirSync(place.home) : []).toEqual([]);
  expect((client.instructions() ?? '').split(/\s+/).length).toBeLessThan(80);
  expect(client.protocol).toBe(era === 'modern' ? '2026-07-28' : 'legacy');
});

test('the list is what it was: a change here is a change for every agent', async () => {
  client = await connect('modern', { home: place.home });
  expect(await client.tools()).toMatchSnapshot();
});

test('every definition says what it does to the world, in few words', () => {
  for (const { definition } of toolsOf(['all'])) {
    expect(Object.keys(definition.annotations).sort()).toEqual(['destructiveHint', 'idempotentHint', 'openWorldHint', 'readOnlyHint']);
    expect(definition.name).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(definition.name.length).toBeLessThan(40);
    expect(definition.description.length / 4, definition.name).toBeLessThan(45);
  }
  const reads = toolsOf()
    .filter(({ definition }) => definition.annotations.readOnlyHint)
    .map(({ definition }) => definition.name);
  expect(reads).toEqual(['list_workflows', 'inspect_run', 'list_runs', 'list_targets', 'diagnose_target', 'inspect_schema', 'read_logs']);
});

test('a server without any configuration makes its home and key at the first call', async () => {
  client = await connect('modern', { home: `${place.home}/not/there/yet` });
  const { structuredContent } = await client.raw('list_workflows', {});
  expect(structuredContent).toMatchObject({ workflows: expect.arrayContaining([expect.objectContaining({ name: 'setup-supabase' })]) });
  expect(readdirSync(`${place.home}/not/there/yet`)).toEqual(expect.arrayContaining(['capstan.db', 'key.json']));
});

test('targets and Dokploys are listed by name and address, without any secret or reference', async () => {
  const env = { K: 'key-canary-0123456789' };
  const add = async (...args: string[]) => expect(await capstan(place.home, args, env)).toMatchObject({ exit: 0 });
  await add('dokploy', 'add', 'main', '--url', 'http://192.0.2.7:3000', '--key', 'env:K', '--no-check');
  await add('targets', 'add', 'prod', '--url', 'https://db.example.com', '--secret', 'serviceRoleKey=env:K', '--tag', 'production');
  client = await connect('modern', { home: place.home });
  const { structuredContent } = await client.raw('list_targets', {});
  expect(structuredContent).toEqual({
    targets: [{ name: 'prod', kind: 'self-hosted', tags: ['production'], url: 'https://db.example.com' }],
    dokploys: [{ name: 'main', url: 'http://192.0.2.7:3000' }],
  });
});

test('the toolsets are chosen at start, and an unknown one is refused with the known ones', async () => {
  client = await connect('modern', { home: place.home, program: [mainFile, 'serve', '--toolsets', 'all'] });
  expect((await client.tools()).map((tool) => tool.name)).toEqual(toolsOf(['all']).map(({ definition }) => definition.name));
  const refused = await capstan(place.home, ['serve', '--toolsets', 'core,nope']);
  expect(refused).toMatchObject({ exit: 2, stderr: expect.stringMatching(/TOOLSET_UNKNOWN.*"nope".*core/s) });
});

test('a workflow is described with its input, steps and risks', async () => {
  client = await connect('legacy', { home: place.home });
  const { structuredContent } = await client.raw('list_workflows', { name: 'dokploy_setup_wizard' });
  expect(structuredContent).toMatchObject({
    name: 'setup-supabase',
    description: expect.stringContaining('Usual duration'),
    steps: expect.arrayContaining([expect.stringContaining('handover')]),
    input: { type: 'object', properties: { dokploy: { type: 'string' } } },
  });
  expect(await client.refused('list_workflows', { name: 'nope' })).toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
});
