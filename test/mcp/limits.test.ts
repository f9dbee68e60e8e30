/** What `--read-only`, `--deny-destructive`, `--targets` and `--rate` refuse, over stdio and HTTP: judged by the world and by what is listed. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Limits } from '../../src/mcp/connection.ts';
import { toolsOf } from '../../src/mcp/toolset.ts';
import { compiledHelper } from '../helpers/build.ts';
import { capstan } from '../helpers/cli.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { type HttpServer, startHttpServer, startRelayHttp } from '../helpers/http-server.ts';
import { connect, mainFile, type TestClient } from '../helpers/mcp-clients.ts';
import { furnish } from '../helpers/tokens.ts';

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let servers: HttpServer[];
let clients: TestClient[];
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  servers = [];
  clients = [];
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all(servers.map((server) => server.stop()));
  await world.close();
  place.remove();
});

const person = () => 'accept' as const;

async function open(door: 'stdio' | 'http', limits: Limits): Promise<TestClient> {
  const at = door === 'http' ? await startRelayHttp(place.home, world.url, { limits }) : undefined;
  if (at) servers.push(at);
  const program = [compiledHelper('relay-server'), place.home, world.url, JSON.stringify(limits)];
  const client = await connect('modern', at ? { at: { url: at.url }, person } : { home: place.home, program, person });
  clients.push(client);
  return client;
}

const changing = [
  ['start_workflow', { workflow: 'relay' }],
  ['advance_run', { run: 'one', event: 'go' }],
  ['rollback_run', { run: 'one', to: 0 }],
  ['cancel_run', { run: 'one' }],
] as const;

describe.each(['stdio', 'http'] as const)('over %s', (door) => {
  test('--read-only refuses whatever changes, and looks go on', async () => {
    await (await open(door, {})).call('start_workflow', { workflow: 'relay', name: 'one' });
    const client = await open(door, { readOnly: true });
    for (const [tool, args] of changing) expect(await client.refused(tool, args)).toMatchObject({ code: 'READ_ONLY' });
    expect(await client.call('inspect_run', { run: 'one' })).toMatchObject({ version: 1, status: 'waiting' });
    expect(world.state().journal).toEqual([]);
  });

  test("--deny-destructive refuses what needs a person's yes, and the request for it is void", async () => {
    const client = await open(door, { denyDestructive: true });
    const { runId } = await client.call('start_workflow', { workflow: 'relay', name: 'one' });
    expect(await client.call('advance_run', { run: 'one', event: 'go', waitMs: 20_000 })).toMatchObject({ state: 'resting' });
    for (const [tool, args] of [
      ['advance_run', { run: 'one', event: 'finish' }],
      ['rollback_run', { run: 'one', to: 'asking' }],
      ['cancel_run', { run: 'one' }],
    ] as const)
      expect(await client.refused(tool, args)).toMatchObject({ code: 'DESTRUCTIVE_DENIED' });
    expect(await client.call('inspect_run', { run: 'one' })).toMatchObject({ state: 'resting', next: { who: 'you' } });
    expect(Object.keys(world.state().standing)).toHaveLength(3);
    const desk = await openRelayDesk(place.home, world.url);
    expect(await desk.engine.pendingApprovals(runId)).toEqual([]);
    desk.close();
  });

  test('--targets hides other targets and the runs about them', async () => {
    await furnish(place.home, {}, { a: [], b: [] });
    const all = await open(door, {});
    await all.call('start_workflow', { workflow: 'relay', name: 'on-a', input: { lock: 'a' } });
    await all.call('start_workflow', { workflow: 'relay', name: 'on-b', input: { lock: 'b' } });
    const client = await open(door, { targets: ['a'] });
    expect((await client.raw('list_targets', {})).structuredContent).toMatchObject({ targets: [{ name: 'a' }], dokploys: [] });
    expect((await client.raw('list_runs', {})).structuredContent).toMatchObject({ runs: [{ name: 'on-a' }] });
    expect(await client.refused('list_targets', { discover: true })).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
    expect(await client.refused('inspect_run', { run: 'on-b' })).toMatchObject({ code: 'RUN_UNKNOWN' });
    expect(await client.refused('advance_run', { run: 'on-b', event: 'go' })).toMatchObject({ code: 'RUN_UNKNOWN' });
    expect(await client.refused('start_workflow', { workflow: 'relay', input: { lock: 'b' } })).toMatchObject({
      code: 'TARGET_OUT_OF_REACH',
    });
    expect(await client.refused('start_workflow', { workflow: 'relay' })).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
    expect(await client.refused('diagnose_target', { target: 'b' })).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
    expect(await client.call('advance_run', { run: 'on-a', event: 'go', waitMs: 20_000 })).toMatchObject({ state: 'resting' });
  });
});

test('the flags of the real server hold on stdio and HTTP', async () => {
  const flags = ['--read-only', '--deny-destructive', '--targets', 'shop', '--rate', '2'];
  const real = await startHttpServer([mainFile, 'serve', '--http', '--port', '0', ...flags], { CAPSTAN_HOME: place.home });
  servers.push(real);
  for (const options of [{ home: place.home, program: [mainFile, 'serve', ...flags] }, { at: { url: real.url } }]) {
    const client = await connect('legacy', options);
    clients.push(client);
    expect(await client.refused('start_workflow', { workflow: 'setup-supabase' })).toMatchObject({ code: 'READ_ONLY' });
    expect(await client.refused('diagnose_target', { target: 'other' })).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
    // Both processes serve the same person, and the limit is his.
    if (clients.length === 1) for (let n = 0; n < 2; n++) await client.raw('list_runs', {});
    expect(await client.refused('list_runs', {})).toMatchObject({ code: 'RATE_LIMITED' });
  }
  for (const wrong of [['--targets'], ['--rate', '0'], ['--read-only=true']])
    expect(await capstan(place.home, ['serve', ...wrong])).toMatchObject({ exit: 2 });
});

test('every tool says what it is about: a run, a target, or that it shows only its part', () => {
  for (const { definition } of toolsOf(['all'])) {
    const about = 'run' in definition.input.shape || 'target' in definition.input.shape || definition.scoped === true;
    // One that says none of it is refused on a connection with targets, which is safe; core must not be.
    if (toolsOf().some((tool) => tool.definition.name === definition.name))
      expect([definition.name, about]).toEqual([definition.name, true]);
    if (definition.asks) expect(definition.annotations.destructiveHint).toBe(true);
  }
});
