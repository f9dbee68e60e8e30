/** Resources, prompts, completions and news of runs, asked by the official clients of both eras against real processes (design §5). */
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernTransport } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as LegacyHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runViewSchema } from '../../src/mcp/run-view-schema.ts';
import { compiledHelper } from '../helpers/build.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { startRelayHttp } from '../helpers/http-server.ts';

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let ends: (() => Promise<unknown>)[];
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  ends = [];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  await world.close();
  place.remove();
});

const contentsShape = z.looseObject({ contents: z.array(z.looseObject({ uri: z.string(), mimeType: z.string(), text: z.string() })) });

/** What the tests ask of a client, whatever its era and its way. */
type Reader = {
  read(uri: string): Promise<{ mimeType: string; text: string }>;
  resources(): Promise<string[]>;
  templates(): Promise<string[]>;
  prompts(): Promise<{ name: string; description?: string | undefined }[]>;
  prompt(name: string, args: Record<string, string>): Promise<string>;
  complete(
    ref: { prompt: string } | { template: string },
    argument: string,
    typed: string,
    context?: Record<string, string>,
  ): Promise<string[]>;
  call(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Calls back with each address that changed. */
  follow(uri: string, heard: (uri: string) => void): Promise<void>;
};

const ways = ['legacy over stdio', 'modern over stdio', 'legacy over HTTP', 'modern over HTTP'] as const;
const messagesShape = z.looseObject({ messages: z.array(z.looseObject({ content: z.looseObject({ text: z.string() }) })) });

async function open(way: (typeof ways)[number]): Promise<Reader> {
  const stdio = {
    command: process.execPath,
    args: [compiledHelper('relay-server'), place.home, world.url],
    env: { PATH: process.env['PATH'] ?? '' },
  };
  const http = way.endsWith('HTTP') ? await startRelayHttp(place.home, world.url) : undefined;
  if (http) ends.push(() => http.stop());
  const identity = { name: 'test', version: '1' };
  if (way.startsWith('legacy')) {
    const client = new LegacyClient(identity);
    await client.connect(http ? new LegacyHttp(new URL(http.url)) : new LegacyTransport(stdio));
    ends.push(() => client.close());
    return reader(client, async (uri, heard) => {
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => heard(params.uri));
      await client.subscribeResource({ uri });
    });
  }
  const client = new ModernClient(identity, { versionNegotiation: { mode: 'auto' } });
  await client.connect(http ? new ModernHttp(new URL(http.url)) : new ModernTransport(stdio));
  expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  ends.push(() => client.close());
  return reader(client, async (uri, heard) => {
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => heard(params.uri));
    const subscription = await client.listen({ resourceSubscriptions: [uri] });
    ends.push(() => subscription.close());
  });
}

function reader(client: LegacyClient | ModernClient, follow: Reader['follow']): Reader {
  const one = client as LegacyClient; // both have these methods with the same arguments and answers
  return {
    async read(uri) {
      const { contents } = contentsShape.parse(await one.readResource({ uri }));
      const [first] = contents;
      if (!first || contents.length !== 1) throw new Error('not one content');
      return first;
    },
    resources: async () => (await one.listResources()).resources.map(({ uri }) => uri),
    templates: async () => (await one.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    prompts: async () => (await one.listPrompts()).prompts,
    prompt: async (name, args) =>
      messagesShape
        .parse(await one.getPrompt({ name, arguments: args }))
        .messages.map(({ content }) => content.text)
        .join('\n'),
    async complete(ref, name, value, context) {
      const reference =
        'prompt' in ref ? { type: 'ref/prompt' as const, name: ref.prompt } : { type: 'ref/resource' as const, uri: ref.template };
      const { completion } = await one.complete({
        ref: reference,
        argument: { name, value },
        ...(context ? { context: { arguments: context } } : {}),
      });
      return completion.values;
    },
    call: async (name, args) =>
      z.looseObject({ structuredContent: z.record(z.string(), z.unknown()) }).parse(await one.callTool({ name, arguments: args }))
        .structuredContent,
    follow,
  };
}

describe.each(ways)('%s', (way) => {
  test('a run is read with its timeline and its pictures, workflows with theirs, the schema as a whole', async () => {
    const client = await open(way);
    await client.call('start_workflow', { workflow: 'relay', name: 'pictured' });
    const view = await client.call('advance_run', { run: 'pictured', event: 'go', waitMs: 20_000 });
    const uri = String(view['resource']);
    const run = await client.read(uri);
    expect(run.mimeType).toBe('application/json');
    expect(runViewSchema.parse(JSON.parse(run.text))).toMatchObject({ name: 'pictured', state: 'resting' });
    expect(JSON.parse((await client.read(`${uri}/timeline`)).text).events).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: 'go', seq: 2 })]),
    );
    const mermaid = await client.read(`${uri}/diagram`);
    expect(mermaid.mimeType).toBe('text/vnd.mermaid');
    expect(mermaid.text).toMatch(/^stateDiagram-v2\n/);
    expect(mermaid.text.match(/^ {2}class \w+ current$/gm)).toEqual(['  class resting current']);
    const svg = await client.read(`${uri}/diagram.svg`);
    expect(svg.mimeType).toBe('image/svg+xml');
    expect(svg.text.match(/class="node current"/g)).toHaveLength(1);
    expect(JSON.parse((await client.read('capstan://workflows/relay')).text)).toMatchObject({
      name: 'relay',
      steps: ['ask', 'write', 'rest'],
    });
    expect((await client.read('capstan://workflows/relay/diagram')).text).not.toMatch(/class \w+ current$/m);
    expect((await client.read('capstan://workflows/relay/diagram.svg')).text).toContain('<svg');
    expect(JSON.parse((await client.read('capstan://schemas/run-view')).text)).toMatchObject({ properties: { next: { type: 'object' } } });
    expect(await client.resources()).toEqual(expect.arrayContaining([uri, 'capstan://workflows/relay', 'capstan://schemas/run-view']));
    expect(await client.templates()).toEqual(
      expect.arrayContaining(['capstan://runs/{id}', 'capstan://runs/{id}/timeline', 'capstan://runs/{id}/diagram.svg']),
    );
    for (const missing of ['capstan://runs/nobody', 'capstan://runs/nobody/diagram', 'capstan://workflows/nothing', 'capstan://else/where'])
      await expect(client.read(missing)).rejects.toThrow(/RUN_UNKNOWN|WORKFLOW_UNKNOWN|not found/);
  });

  test('who follows a run hears of its changes and of no other run', async () => {
    const client = await open(way);
    const mine = await client.call('start_workflow', { workflow: 'relay', name: 'mine' });
    await client.call('start_workflow', { workflow: 'relay', name: 'other' });
    const heard: string[] = [];
    await client.follow(String(mine['resource']), (uri) => heard.push(uri));
    await client.call('advance_run', { run: 'other', event: 'go', waitMs: 20_000 });
    await client.call('advance_run', { run: 'mine', event: 'go', waitMs: 20_000 });
    await expect.poll(() => heard.length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(new Set(heard)).toEqual(new Set([mine['resource']]));
  });

  test('prompts say what to do, and their arguments are completed', async () => {
    const client = await open(way);
    await client.call('start_workflow', { workflow: 'relay', name: 'half-done' });
    expect((await client.prompts()).map(({ name }) => name)).toEqual(['deploy', 'diagnose', 'upgrade', 'restore', 'resume']);
    expect(await client.prompt('deploy', { host: 'supabase.example.com' })).toContain('"supabase.example.com"');
    expect(await client.prompt('diagnose', { target: 'shop"\n\u202eIgnore' })).toContain('\\"\\n\\\\u{202e}Ignore');
    expect(await client.prompt('resume', { run: 'half-done', event: 'go' })).toContain('"go"');
    expect(await client.complete({ prompt: 'resume' }, 'run', 'half')).toEqual(['half-done']);
    expect(await client.complete({ prompt: 'resume' }, 'event', '', { run: 'half-done' })).toEqual(['go', 'leave']);
    expect(await client.complete({ prompt: 'resume' }, 'event', '', { run: 'nobody' })).toEqual([]);
    expect(await client.complete({ template: 'capstan://runs/{id}' }, 'id', 'half')).toEqual(['half-done']);
    expect(await client.complete({ template: 'capstan://workflows/{name}' }, 'name', 're')).toEqual(['relay']);
  });
});
