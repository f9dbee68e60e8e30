/** The multi-round question of 2026-07-28 by hand: what comes back from a client is attacker-controlled. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { compiledHelper } from '../helpers/build.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let server: ChildProcessWithoutNullStreams;
let lines: AsyncIterator<string>;
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  server = spawn(process.execPath, [compiledHelper('relay-server'), place.home, world.url]);
  lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
});
afterEach(async () => {
  const exited = once(server, 'exit');
  server.stdin.end();
  await exited;
  await world.close();
  place.remove();
});

const envelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
};
const answerShape = z.object({
  id: z.number(),
  error: z.looseObject({ code: z.number(), message: z.string() }).optional(),
  result: z
    .looseObject({
      resultType: z.string().optional(),
      requestState: z.string().optional(),
      inputRequests: z.record(z.string(), z.unknown()).optional(),
      isError: z.boolean().optional(),
      structuredContent: z.record(z.string(), z.unknown()).optional(),
      content: z.array(z.looseObject({ text: z.string() })).optional(),
    })
    .optional(),
});
let id = 0;
async function call(name: string, args: object, more: object = {}): Promise<z.infer<typeof answerShape>> {
  id += 1;
  server.stdin.write(
    `${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args, _meta: envelope, ...more } })}\n`,
  );
  for (;;) {
    const answer = answerShape.safeParse(JSON.parse((await lines.next()).value));
    if (answer.success && answer.data.id === id) return answer.data;
  }
}
const errorIn = (answer: z.infer<typeof answerShape>) => JSON.parse(answer.result?.content?.[0]?.text ?? '{}');
const accept = { inputResponses: { approval: { action: 'accept', content: {} } } };
const sealed = () => world.state().journal.filter((entry) => entry.name === 'seal').length;

async function askedToSeal(): Promise<{ args: object; requestState: string }> {
  await call('start_workflow', { workflow: 'relay', name: 'raw' });
  expect((await call('advance_run', { run: 'raw', event: 'go', waitMs: 20_000 })).result?.structuredContent).toMatchObject({
    state: 'resting',
  });
  const args = { run: 'raw', event: 'finish', waitMs: 20_000 };
  const { result } = await call('advance_run', args);
  expect(result).toMatchObject({ resultType: 'input_required', inputRequests: { approval: { method: 'elicitation/create' } } });
  return { args, requestState: result?.requestState ?? '' };
}

test('an accepted state does its work once; sent again it is refused', async () => {
  const { args, requestState } = await askedToSeal();
  expect((await call('advance_run', args, { ...accept, requestState })).result?.structuredContent).toMatchObject({ status: 'done' });
  expect(errorIn(await call('advance_run', args, { ...accept, requestState }))).toMatchObject({ code: 'APPROVAL_STALE' });
  expect(sealed()).toBe(1);
});

test('a state that was changed is refused by the wire, and one for other arguments by code', async () => {
  const { args, requestState } = await askedToSeal();
  const [version, body = '', mac] = requestState.split('.');
  const changed = JSON.parse(Buffer.from(body, 'base64url').toString());
  changed.p.approval = 'another';
  const forged = [version, Buffer.from(JSON.stringify(changed)).toString('base64url'), mac].join('.');
  expect((await call('advance_run', args, { ...accept, requestState: forged })).error).toMatchObject({ code: -32_602 });
  const other = await call('advance_run', { ...args, event: 'again' }, { ...accept, requestState });
  expect(errorIn(other)).toMatchObject({ code: 'APPROVAL_STATE_FOREIGN' });
  expect(sealed()).toBe(0);
});

test('an acceptance without the state is no acceptance: the question is asked again', async () => {
  const { args } = await askedToSeal();
  expect((await call('advance_run', args, accept)).result).toMatchObject({ resultType: 'input_required' });
  expect(sealed()).toBe(0);
});

test('a state that comes back without an answer counts as not approved', async () => {
  const { args, requestState } = await askedToSeal();
  const { result } = await call('advance_run', args, { requestState });
  expect(result?.structuredContent).toMatchObject({ status: 'waiting', state: 'resting', next: { who: 'human' } });
  expect(errorIn(await call('advance_run', args, { ...accept, requestState }))).toMatchObject({ code: 'APPROVAL_STALE' });
  expect(sealed()).toBe(0);
});
