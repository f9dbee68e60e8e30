/** Workflows that users bring (design §7), through the real CLI: the example of the README, and what is refused. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageFile } from '../../src/package-root.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { connect, mainFile } from '../helpers/mcp-clients.ts';

let place: ReturnType<typeof temporaryHome>;
let beside: ReturnType<typeof temporaryHome>;
beforeEach(() => {
  place = temporaryHome();
  beside = temporaryHome();
});
afterEach(() => {
  place.remove();
  beside.remove();
});

const examples = packageFile('examples');
const run = (...args: string[]) => capstan(place.home, args);
const json = async (...args: string[]) => jsonOf(await run(...args, '--json'));

/** A folder with one file made from the example. */
function folderWith(name: string, change: (text: string) => string): string {
  const folder = join(beside.home, 'own');
  mkdirSync(folder, { recursive: true });
  const text = readFileSync(join(examples, 'publish-note.mjs'), 'utf8');
  const changed = change(text);
  expect(changed, 'the example no longer holds what this test changes').not.toBe(text);
  writeFileSync(join(folder, name), changed);
  return folder;
}

const bothNames = ['setup-supabase', 'publish-note'].map((name) => expect.objectContaining({ name }));

test('the example of the README runs to its end, is audited, and is listed beside ours', async () => {
  const file = join(beside.home, 'note.txt');
  const ended = await run(
    ...['run', 'publish-note', '--workflows', examples, '--name', 'hello'],
    ...['--set', `file=${file}`, '--set', 'text=Hello', '--set', 'keep.=', '--json'],
  );
  expect(jsonOf(ended)).toMatchObject({ status: 'done', state: 'kept', output: { file, bytes: 5 } });
  expect(ended.exit).toBe(0);
  expect(readFileSync(file, 'utf8')).toBe('Hello');
  const listed = (await json('workflows', '--workflows', examples))['workflows'];
  expect(listed).toEqual(expect.arrayContaining(bothNames));
  const { audit } = await json('audit', '--run', 'hello', '--workflows', examples);
  expect(audit).toMatchObject([
    { action: 'advance keep', door: 'cli', run: 'hello', workflow: 'publish-note', outcome: 'accepted' },
    { action: 'start publish-note', door: 'cli', run: 'hello' },
  ]);
});

test('without its folder a run can be looked at but not moved, and says so; with it the run goes on', async () => {
  const file = join(beside.home, 'note.txt');
  const start = ['run', 'publish-note', '--workflows', examples, '--name', 'left', '--set', `file=${file}`, '--set', 'text=Hi'];
  expect((await run(...start)).exit).toBe(3);
  const without = await run('runs', 'advance', 'left', 'keep', '--json');
  expect(jsonOf(without)).toMatchObject({ error: { code: 'DEFINITION_CHANGED' } });
  expect(without.stdout).toContain('--workflows');
  expect(await json('runs', 'show', 'left')).toMatchObject({ state: 'written', waitingFor: [] });
  const check = await run('upgrade', '--check', '--json');
  expect(check.exit).toBe(4);
  expect(jsonOf(check)['stranded']).toMatchObject([{ name: 'left', reason: 'WORKFLOW_UNKNOWN' }]);
  expect((await run('upgrade', '--check', '--workflows', examples)).exit).toBe(0);
  const refused = await run('runs', 'rollback', 'left', '--to', '0', '--dry-run', '--json');
  expect(jsonOf(refused)['refusals']).toMatchObject([{ code: 'CONTRACT_UNKNOWN' }]);
  const kept = await run('runs', 'advance', 'left', 'keep', '--wait', '--workflows', examples, '--json');
  expect(jsonOf(kept)).toMatchObject({ status: 'done', output: { bytes: 2 } });
});

test('a new version takes runs at rest along by its migration; upgrade --check says it before', async () => {
  const file = join(beside.home, 'note.txt');
  expect(
    (await run('run', 'publish-note', '--workflows', examples, '--name', 'kept', '--set', `file=${file}`, '--set', 'text=Hi')).exit,
  ).toBe(3);
  const newer = (more: string) =>
    folderWith('newer.mjs', (text) => text.replace("name: 'publish-note',", `name: 'publish-note',\n  revision: 2,\n  ${more}`));
  const check = await run('upgrade', '--check', '--workflows', newer(''), '--json');
  expect(check.exit).toBe(4);
  const [stranded] = jsonOf(check)['stranded'] as { reason: string; definitionHash: string }[];
  expect(stranded).toMatchObject({ name: 'kept', reason: 'DEFINITION_UNKNOWN' });
  const migrations = `migrations: [{ from: '${stranded?.definitionHash}', migrate: (snapshot) => snapshot }],`;
  const ready = await run('upgrade', '--check', '--workflows', newer(migrations), '--json');
  expect(ready.exit).toBe(0);
  expect(jsonOf(ready)).toMatchObject({ carries: [{ name: 'kept', from: stranded?.definitionHash }], stranded: [] });
  const carried = await run('upgrade', '--workflows', newer(migrations), '--json');
  expect(jsonOf(carried)).toMatchObject({ carries: [{ name: 'kept' }], stranded: [] });
  expect(jsonOf(await run('upgrade', '--workflows', newer(migrations), '--json'))).toEqual({ carries: [], stranded: [] });
  const events = (await json('runs', 'show', 'kept', '--timeline', '--workflows', newer(migrations)))['events'] as { type: string }[];
  expect(events.map((event) => event.type).at(-1)).toBe('capstan.migrated');
  expect(await json('runs', 'advance', 'kept', 'keep', '--wait', '--workflows', newer(migrations))).toMatchObject({ status: 'done' });
  expect((await run('upgrade', '--check', '--workflows', examples)).exit).toBe(0);
});

test('a refusal is audited with its code, a write of one step with its name', async () => {
  expect((await run('runs', 'advance', 'nobody', 'keep')).exit).toBe(1);
  const file = join(beside.home, 'note.txt');
  await run('run', 'publish-note', '--workflows', examples, '--name', 'n', '--set', `file=${file}`, '--set', 'text=Hi');
  await run('runs', 'advance', 'n', 'burn it', '--workflows', examples);
  await run('run', 'publish-note', '--workflows', examples, '--set', 'file=relative');
  await run('targets', 'add', 'shop', '--url', 'https://shop.example.org');
  await run('targets', 'remove', 'shop');
  const { audit } = await json('audit');
  expect(audit).toMatchObject([
    { action: 'targets remove shop', outcome: 'accepted', door: 'cli' },
    { action: 'targets add shop', outcome: 'accepted', door: 'cli' },
    { action: 'start publish-note', outcome: 'INPUT_INVALID', runId: null },
    { action: 'advance "burn it"', outcome: 'EVENT_NOT_ACCEPTED', run: 'n', door: 'cli' },
    { action: 'start publish-note', outcome: 'accepted', run: 'n' },
  ]);
});

test('over MCP an own workflow is a workflow like any other', async () => {
  const file = join(beside.home, 'note.txt');
  const client = await connect('modern', { home: place.home, program: [mainFile, 'serve', '--workflows', examples] });
  try {
    expect(JSON.stringify(await client.raw('list_workflows', {}))).toContain('publish-note');
    const started = await client.call('start_workflow', { workflow: 'publish-note', input: { file, text: 'Over MCP' }, waitMs: 10_000 });
    expect(started).toMatchObject({ status: 'waiting', state: 'written' });
    expect(await client.call('advance_run', { run: started['runId'], event: 'keep' })).toMatchObject({ status: 'done' });
  } finally {
    await client.close();
  }
  expect(readFileSync(file, 'utf8')).toBe('Over MCP');
});

test.each([
  ['R1', (text: string) => text.replace("id: 'write',", ''), 'an invoke without id'],
  ['R1', (text: string) => text.replace(/onError: .*\n/, ''), 'without onError'],
  ['R2', (text: string) => text.replace("initial: 'writing',", "initial: 'writing',\n  entry: () => {},"), 'an action other than assign'],
  ['R4', (text: string) => text.replace(/undo: .*\n/, ''), 'mutating without undo'],
  ['R5', (text: string) => text.replace("title: 'Keep the note', ", ''), 'without title'],
  ['R6', (text: string) => text.replace("meta: { outcome: 'failed' }", 'meta: {}'), 'needs meta.outcome'],
])('a definition that breaks %s is refused with the rule, the place and the file', async (rule, change, what) => {
  const folder = folderWith('broken.mjs', change);
  const ended = await run('workflows', '--workflows', folder);
  expect(ended.exit).toBe(1);
  expect(ended.stderr).toContain('DEFINITION_REFUSED');
  expect(ended.stderr).toContain(`${join(folder, 'broken.mjs')}: ${rule} `);
  expect(ended.stderr).toContain(what);
});

test.each([
  [
    'a workflow of ours',
    (text: string) => text.replace("name: 'publish-note'", "name: 'setup-supabase'"),
    'the workflow name setup-supabase twice',
  ],
  [
    'an alias of ours',
    (text: string) => text.replace("name: 'publish-note'", "name: 'setup_wizard'"),
    'the workflow name setup_wizard twice',
  ],
  ['a contract of ours', (text: string) => text.replace('notes.writeNote@1', 'smtp.verify@1'), 'the contract smtp.verify@1 is taken'],
])('the name of %s is refused', async (_, change, what) => {
  const folder = folderWith('clash.mjs', change);
  const ended = await run('workflows', '--workflows', folder);
  expect(ended).toMatchObject({ exit: 1, stdout: '' });
  expect(ended.stderr).toContain(join(folder, 'clash.mjs'));
  expect(ended.stderr).toContain(what);
});

test('two files with one name clash; a file that does not load, an empty folder and a missing one say so', async () => {
  const folder = folderWith('one.mjs', (text) => text.replace('notes.writeNote@1', 'memos.writeMemo@1'));
  const twice = await run('workflows', '--workflows', folder, '--workflows', examples);
  expect(twice.stderr).toContain('the workflow name publish-note twice');
  writeFileSync(join(folder, 'one.mjs'), 'export const nothing = ;');
  expect((await run('workflows', '--workflows', folder)).stderr).toContain('WORKFLOW_BROKEN');
  writeFileSync(join(folder, 'one.mjs'), 'export const nothing = 1;');
  expect((await run('workflows', '--workflows', folder)).stderr).toContain('WORKFLOWS_EMPTY');
  expect((await run('workflows', '--workflows', join(folder, 'nowhere'))).stderr).toContain('WORKFLOWS_UNREADABLE');
});

test('TypeScript is loaded where Node strips types, else it is said that it is not', async () => {
  const folder = folderWith('typed.ts', (text) => text.replace('(file) =>\n', '(file: string) =>\n'));
  const ended = await run('workflows', '--workflows', folder, '--json');
  if ('typescript' in process.features && process.features.typescript) {
    expect(jsonOf(ended)['workflows']).toEqual(expect.arrayContaining(bothNames));
  } else {
    expect(jsonOf(ended)).toMatchObject({
      error: { code: 'WORKFLOWS_EMPTY', fix: expect.stringContaining('This Node runs no TypeScript') },
    });
  }
});
