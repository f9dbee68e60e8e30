import { readFileSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { compiledHelper } from '../helpers/build.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { askWorld, startWorld } from '../helpers/fake-world.ts';
import { type HttpServer, startRelayHttp } from '../helpers/http-server.ts';
import { connect, type Era, eras, type PersonAnswers, type TestClient } from '../helpers/mcp-clients.ts';

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let clients: TestClient[];
let server: HttpServer | undefined;
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  clients = [];
  server = undefined;
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await server?.stop();
  await world.close();
  place.remove();
});

type Door = 'stdio' | 'http';
const doors = eras.flatMap((era): { era: Era; door: Door }[] => [
  { era, door: 'stdio' },
  { era, door: 'http' },
]);

async function openAt(door: Door, era: Era, person?: (message: string) => PersonAnswers): Promise<TestClient> {
  if (door === 'stdio') return open(era, person);
  server ??= await startRelayHttp(place.home, world.url);
  const client = await connect(era, { at: { url: server.url }, ...(person ? { person } : {}) });
  clients.push(client);
  return { ...client, stderr: server.stderr };
}

async function open(era: Era, person?: (message: string) => PersonAnswers): Promise<TestClient> {
  const client = await connect(era, {
    home: place.home,
    program: [compiledHelper('relay-server'), place.home, world.url],
    ...(person ? { person } : {}),
  });
  clients.push(client);
  return client;
}
const toResting = async (client: TestClient, name: string) => {
  const { runId } = await client.call('start_workflow', { workflow: 'relay', name });
  const view = await client.call('advance_run', { run: runId, event: 'go', waitMs: 20_000 });
  expect(view).toMatchObject({ state: 'resting', status: 'waiting' });
  return view;
};
const sealed = () => world.state().journal.filter((entry) => entry.name === 'seal').length;

describe.each(doors)('a $era client over $door', ({ era, door }) => {
  test('starts, is refused what a state does not take, advances and looks from every side', async () => {
    const client = await openAt(door, era);
    const started = await client.call('start_workflow', { workflow: 'relay_alias', name: 'one' });
    expect(started).toMatchObject({ state: 'asking', status: 'waiting', version: 1, next: { who: 'you', call: { tool: 'advance_run' } } });
    const refusal = await client.refused('advance_run', { run: 'one', event: 'finish' });
    expect(refusal).toMatchObject({ code: 'EVENT_NOT_ACCEPTED', fix: 'It takes: go, leave.' });
    expect(refusal.details).toMatchObject({
      state: 'asking',
      accepts: [
        { event: 'go', payload: { properties: { note: { type: 'string' } } } },
        { event: 'leave', payload: { type: 'object' } },
      ],
    });
    const wrong = await client.refused('advance_run', { run: 'one', event: 'go', payload: { note: 7 } });
    expect(wrong).toMatchObject({ code: 'PAYLOAD_INVALID', details: { schema: { properties: { note: { type: 'string' } } } } });
    expect(await client.refused('advance_run', { run: 'one', event: 'go', wait: 1 })).toMatchObject({
      code: 'ARGUMENTS_INVALID',
      details: { known: expect.arrayContaining(['waitMs', 'requestKey']) },
    });
    expect(await client.refused('advance_run', { run: 'one', event: 'go', expectedVersion: 9 })).toMatchObject({ code: 'RUN_MOVED' });
    expect(await client.refused('inspect_run', { run: 'nobody' })).toMatchObject({ code: 'RUN_UNKNOWN' });

    const resting = await client.call('advance_run', { run: 'one', event: 'go', waitMs: 20_000 });
    expect(resting).toMatchObject({ state: 'resting', details: { ids: ['first-1', 'second-1', 'third-1'] } });
    const timeline = (await client.raw('inspect_run', { run: 'one', view: 'timeline', since: 1 })).structuredContent;
    expect(timeline).toMatchObject({ runId: started.runId, status: 'waiting' });
    expect(timeline?.['events']).toEqual(expect.arrayContaining([expect.objectContaining({ type: 'go', seq: 2, source: 'principal' })]));
    const effects = (await client.raw('inspect_run', { run: 'one', view: 'effects' })).structuredContent;
    expect(effects?.['effects']).toEqual(
      expect.arrayContaining([expect.objectContaining({ title: 'First write', status: 'done', outside: 'applied' })]),
    );
    const plan = (await client.raw('inspect_run', { run: 'one', view: 'plan' })).structuredContent;
    expect(plan).toMatchObject({ plan: null, asksFor: [{ event: 'finish', confirm: 'Seal the world for good.' }] });
    const { structuredContent: runs } = await client.raw('list_runs', { status: 'waiting' });
    expect(runs).toMatchObject({ runs: [{ runId: started.runId, name: 'one', state: 'resting' }] });
  });

  test('gets the same answer for the same request key, and a refusal for another request under it', async () => {
    const client = await openAt(door, era);
    const first = await client.call('start_workflow', { workflow: 'relay', requestKey: 'k1' });
    const again = await client.call('start_workflow', { workflow: 'relay', requestKey: 'k1' });
    expect(again).toMatchObject({ runId: first.runId, replayed: true });
    expect(await client.refused('start_workflow', { workflow: 'relay', name: 'other', requestKey: 'k1' })).toMatchObject({
      code: 'REQUEST_KEY_REUSED',
    });
    await client.call('advance_run', { run: first.runId, event: 'go', requestKey: 'k2', waitMs: 20_000 });
    const replay = await client.call('advance_run', { run: first.runId, event: 'go', requestKey: 'k2' });
    expect(replay).toMatchObject({ state: 'resting', replayed: true });
    expect(world.state().journal.filter((entry) => entry.name === 'first')).toHaveLength(1);
  });

  test('approves by a form without fields whose text is the statement and the run', async () => {
    const asked: string[] = [];
    const client = await openAt(door, era, (message) => {
      asked.push(message);
      return 'accept';
    });
    const { runId } = await toResting(client, 'yes');
    const done = await client.call('advance_run', { run: runId, event: 'finish', waitMs: 20_000 });
    expect(asked).toEqual(['Seal the world for good. Plan abc.\n\nRun: yes']);
    expect(done).toMatchObject({ state: 'done', status: 'done' });
    expect(sealed()).toBe(1);
  });

  test.each(['decline', 'cancel', 'break'] as const)('that answers a form with %s leaves the run waiting', async (says) => {
    const client = await openAt(door, era, () => says);
    const { runId } = await toResting(client, 'no');
    // A client that breaks on the form fails its own call on the modern wire; the run must stand all the same.
    await client.raw('advance_run', { run: runId, event: 'finish' }).then(
      ({ structuredContent }) =>
        expect(structuredContent).toMatchObject({
          state: 'resting',
          status: 'waiting',
          next: { who: 'human', say: expect.stringContaining('nothing was changed') },
        }),
      (error: unknown) => expect([says, era, error instanceof Error]).toEqual(['break', 'modern', true]),
    );
    expect(await client.call('inspect_run', { run: runId })).toMatchObject({ state: 'resting', status: 'waiting' });
    expect(sealed()).toBe(0);
  });

  test('that cannot ask gets the run back with the person as the next one, and no error', async () => {
    const client = await openAt(door, era);
    const { runId } = await toResting(client, 'mute');
    const answer = await client.call('advance_run', { run: runId, event: 'finish' });
    expect(answer).toMatchObject({
      state: 'resting',
      status: 'waiting',
      next: { who: 'human', say: expect.stringContaining('Seal the world for good.') },
    });
    expect(answer.next).not.toHaveProperty('call');
    expect(sealed()).toBe(0);
  });

  test('rolls back after the person saw what is taken back', async () => {
    const asked: string[] = [];
    const client = await openAt(door, era, (message) => {
      asked.push(message);
      return 'accept';
    });
    const { runId } = await toResting(client, 'back');
    const { structuredContent } = await client.raw('rollback_run', { run: runId, to: 'asking', dryRun: true });
    expect(structuredContent).toMatchObject({ runId, status: 'waiting', preview: { name: 'asking', refusals: [] } });
    expect(Object.keys(world.state().standing)).toHaveLength(3);
    const back = await client.call('rollback_run', { run: runId, to: 'asking', waitMs: 20_000 });
    expect(back).toMatchObject({ state: 'asking', status: 'waiting' });
    expect(asked).toEqual([expect.stringMatching(/^Roll back back to "asking".*Third write; Second write; First write.*\n\nRun: back$/s)]);
    expect(world.state().standing).toEqual({});
  });

  test('hears progress while it waits, and a cancelled request ends the waiting but not the run', async () => {
    const client = await openAt(door, era);
    const { runId } = await client.call('start_workflow', { workflow: 'relay' });
    await askWorld(world.url, '/fault', { name: 'second', fault: 'fail-before', left: 3 });
    const heard: string[] = [];
    const stop = new AbortController();
    const heardOnce = new Promise<void>((resolve) => {
      client
        .raw(
          'advance_run',
          { run: runId, event: 'go', waitMs: 45_000 },
          { signal: stop.signal, onProgress: (message) => resolve(void heard.push(message)) },
        )
        .then(
          () => resolve(),
          () => undefined, // the aborted request rejects at the client, as it should
        );
    });
    await heardOnce;
    stop.abort();
    expect(heard.length).toBeGreaterThan(0);
    expect(await client.call('inspect_run', { run: runId, waitMs: 20_000 })).toMatchObject({
      state: expect.stringMatching(/resting|broken/),
    });
  });

  test('hears at least every 2 s that long work goes on', { timeout: 60_000 }, async () => {
    const client = await openAt(door, era);
    const { runId } = await client.call('start_workflow', { workflow: 'relay' });
    await askWorld(world.url, '/fault', { name: 'second', fault: 'fail-before', left: 1_000 });
    const heardAt = [performance.now()];
    const onProgress = () => void heardAt.push(performance.now());
    await client.raw('advance_run', { run: runId, event: 'go', waitMs: 8_000 }, { onProgress });
    heardAt.push(performance.now());
    const gaps = heardAt.slice(1).map((at, index) => at - (heardAt[index] ?? at));
    // The interval is 1.5 s; what a busy machine adds to it is not ours.
    expect(Math.max(...gaps)).toBeLessThan(2_500);
    expect((heardAt.at(-1) ?? 0) - (heardAt[0] ?? 0)).toBeGreaterThan(3_000); // long enough that silence would show
  });

  test('is told errors by code, and what may not be shown by a log id', async () => {
    const client = await openAt(door, era);
    expect(await client.refused('test_broken', { run: 'app-error' })).toEqual({
      code: 'TEST_REFUSED',
      message: 'It was refused.',
      fix: 'Do not ask.',
      details: { of: 'app-error' },
    });
    const internal = await client.refused('test_broken', { run: 'else' });
    expect(internal).toMatchObject({ code: 'INTERNAL', details: { logId: expect.any(String) } });
    expect(JSON.stringify(internal)).not.toContain('secret thing');
    // The log line comes by another pipe than the answer.
    await expect.poll(() => client.stderr(), { timeout: 10_000 }).toContain(`${internal.details?.['logId']} a secret thing broke`);
    const huge = await client.raw('test_broken', { run: 'huge' });
    expect(JSON.stringify(huge.structuredContent).length).toBeLessThan(1_000);
    const vast = (await client.raw('test_broken', { run: 'vast' })).structuredContent;
    expect(vast).toMatchObject({ details: { small: 'kept', rows: { omitted: expect.any(String), file: expect.any(String) } } });
    const { file } = z.object({ details: z.object({ rows: z.object({ file: z.string() }) }) }).parse(vast).details.rows;
    expect(JSON.parse(readFileSync(file, 'utf8'))).toHaveLength(6_000);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await client.raw('test_broken', { run: 'hidden' })).structuredContent).toEqual({ text: 'a\\u{202e}b\\u{7}c' });
    expect(await client.refused('start_workflow', { workflow: 'relay', input: { token: `sb_secret_${'a1'.repeat(12)}` } })).toMatchObject({
      code: 'SECRET_IN_ARGUMENT',
    });
  });
});

test('a run started in one server is advanced in another and looked at from a third', async () => {
  const [one, two, three] = [await open('modern'), await open('legacy'), await open('modern')];
  const { runId } = await one.call('start_workflow', { workflow: 'relay', name: 'shared' });
  expect(await two.call('advance_run', { run: 'shared', event: 'go', waitMs: 20_000 })).toMatchObject({ runId, state: 'resting' });
  expect(await three.call('inspect_run', { run: runId.slice(0, 13) })).toMatchObject({ runId, state: 'resting' });
});

test('two advances at once: one wins, the other is refused and told where the run is', async () => {
  const [one, two] = [await open('modern'), await open('legacy')];
  const { runId } = await one.call('start_workflow', { workflow: 'relay' });
  const request = { run: runId, event: 'go', expectedVersion: 1, waitMs: 0 };
  const answers = await Promise.all([one.raw('advance_run', request), two.raw('advance_run', request)]);
  const refused = answers.filter((answer) => answer.isError);
  expect(refused).toHaveLength(1);
  expect(JSON.parse(refused[0]?.content[0]?.text ?? '')).toMatchObject({ code: 'RUN_MOVED', details: { version: expect.any(Number) } });
});
