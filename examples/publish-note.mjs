// A workflow of your own: write a text into a file, look at it, keep it or take it back.
// capstan run publish-note --workflows examples --set file=/tmp/note.txt --set text=Hello --set keep.=
import { readFile, rm, writeFile } from 'node:fs/promises';
import { actorOf, defineEffect, defineHandler, defineWorkflow, noPayload } from 'capstan-mcp';
import { assign, setup } from 'xstate';
import { z } from 'zod';

/** The pure half: what goes out, what comes back, how long a lost write may still land. */
const writeNote = defineEffect({
  name: 'notes.writeNote@1',
  title: 'Write the note',
  input: z.object({ file: z.string(), text: z.string() }),
  output: z.object({ bytes: z.number() }),
  locks: ({ file }) => [`file:${file}`],
  timeoutMs: 5_000,
  settleMs: 6_000,
});

const textOf = (file) =>
  readFile(file, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });

/** The impure half: remember what was there, write, look whether it was written, put back what was there. */
const writeNoteHandler = defineHandler(writeNote, {
  prepare: (_ctx, { file }) => textOf(file),
  run: async (_ctx, { file, text }) => {
    await writeFile(file, text);
    return { bytes: Buffer.byteLength(text) };
  },
  probe: async (_ctx, { file, text }) =>
    (await textOf(file)) === text ? { state: 'applied', output: { bytes: Buffer.byteLength(text) } } : { state: 'absent' },
  undo: (_ctx, { file }, before) => (before === null ? rm(file, { force: true }) : writeFile(file, before)),
});

/** The rule book: only assign, raise and cancel; every call outside is an invoke of a contract. */
const machine = setup({ actors: { [writeNote.name]: actorOf(writeNote) } }).createMachine({
  id: 'publish-note',
  context: ({ input }) => ({ ...input, bytes: 0, error: null }),
  initial: 'writing',
  states: {
    writing: {
      invoke: {
        id: 'write',
        src: writeNote.name,
        input: ({ context }) => ({ file: context.file, text: context.text }),
        onDone: { target: 'written', actions: assign({ bytes: ({ event }) => event.output.bytes }) },
        onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    written: {
      meta: { title: 'Keep it?', checkpoint: 'written', events: { keep: { title: 'Keep the note', payload: noPayload } } },
      on: { keep: 'kept' },
    },
    kept: { type: 'final', meta: { outcome: 'done' } },
    failed: { type: 'final', meta: { outcome: 'failed' } },
  },
  output: ({ context }) => ({ file: context.file, bytes: context.bytes }),
});

export const publishNote = defineWorkflow({
  name: 'publish-note',
  title: 'Publish a note',
  machine,
  input: z.strictObject({ file: z.string().startsWith('/').describe('Absolute path'), text: z.string().max(10_000) }),
  contracts: [writeNote],
  handlers: { [writeNote.name]: writeNoteHandler },
  steps: ['write the note', 'look at it', 'keep it'],
  show: ['file', 'bytes'],
});
