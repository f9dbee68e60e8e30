/** A workflow as a user would bring it: ask, tag, publish. */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf, defineEffect, defineHandler, defineWorkflow, noPayload } from '../../src/define.ts';

const createTag = defineEffect({
  name: 'git.createTag@1',
  title: 'Create the tag',
  input: z.object({ version: z.string() }),
  output: z.object({ tag: z.string() }),
});
const publish = defineEffect({
  name: 'registry.publish@1',
  title: 'Publish',
  input: z.object({ tag: z.string() }),
  output: z.object({ verdict: z.enum(['live', 'held']) }),
  pointOfNoReturn: true,
});
const tags = new Set<string>();
const versions = z.strictObject({ version: z.string().regex(/^\d+\.\d+\.\d+$/) });

const machine = setup({
  types: {
    context: {} as { version: string; tag: string; error: unknown },
    events: {} as { type: 'release'; version: string } | { type: 'stop' } | { type: 'publish' },
  },
  actors: { 'git.createTag@1': actorOf(createTag), 'registry.publish@1': actorOf(publish) },
}).createMachine({
  id: 'tag-release',
  context: { version: '', tag: '', error: null },
  initial: 'asking',
  states: {
    asking: {
      meta: {
        title: 'Which version?',
        checkpoint: 'asking',
        events: { release: { title: 'Release it', payload: versions }, stop: { title: 'Stop', payload: noPayload } },
      },
      on: { release: { target: 'tagging', actions: assign({ version: ({ event }) => event.version }) }, stop: 'stopped' },
    },
    tagging: {
      invoke: {
        id: 'tag',
        src: 'git.createTag@1',
        input: ({ context }) => ({ version: context.version }),
        onDone: { target: 'tagged', actions: assign({ tag: ({ event }) => event.output.tag }) },
        onError: { target: 'asking', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    tagged: {
      meta: {
        title: 'Publish it?',
        checkpoint: 'tagged',
        events: { publish: { title: 'Publish', payload: noPayload, confirm: 'Publish it.' } },
      },
      on: { publish: 'publishing' },
    },
    publishing: {
      invoke: {
        id: 'publish',
        src: 'registry.publish@1',
        input: ({ context }) => ({ tag: context.tag }),
        onDone: [{ guard: ({ event }) => event.output.verdict === 'live', target: 'published' }, { target: 'tagged' }],
        onError: { target: 'tagged', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    published: { type: 'final', meta: { outcome: 'done' } },
    stopped: { type: 'final', meta: { outcome: 'failed' } },
  },
});

export const tagRelease = defineWorkflow({
  name: 'tag-release',
  title: 'Tag and publish a release',
  machine,
  input: z.strictObject({}),
  contracts: [createTag, publish],
  handlers: {
    'git.createTag@1': defineHandler(createTag, {
      run: async (_, { version }) => {
        tags.add(version);
        return { tag: `v${version}` };
      },
      probe: async (_, { version }) => (tags.has(version) ? { state: 'applied', output: { tag: `v${version}` } } : { state: 'absent' }),
      undo: async (_, { version }) => {
        tags.delete(version);
      },
    }),
    'registry.publish@1': defineHandler(publish, {
      run: async () => ({ verdict: 'live' as const }),
      probe: async () => ({ state: 'unknown', say: 'the registry does not tell' }),
    }),
  },
});
