/** `defineWorkflow` as a TypeScript user meets it: what compiles here compiles for him. */
import { expect, test } from 'vitest';
import { assign, setup } from 'xstate';
import { z } from 'zod';
import {
  actorOf,
  defineEffect,
  defineHandler,
  defineWorkflow,
  isOwnWorkflow,
  noPayload,
  type StateMeta,
  WorkflowError,
} from '../../src/define.ts';
import { AppError } from '../../src/errors.ts';
import { mergeWorkflows } from '../../src/workflows/merge.ts';

const turnValve = defineEffect({
  name: 'plant.turnValve@1',
  title: 'Turn the valve',
  input: z.object({ valve: z.string() }),
  output: z.object({ degrees: z.number() }),
  locks: ({ valve }) => [`valve:${valve}`],
});

const turnValveHandler = defineHandler(turnValve, {
  prepare: async (_ctx, { valve }) => ({ valve, was: 0 }),
  run: async (ctx, { valve }, before) => {
    ctx.progress(`Turning ${valve} from ${before.was}`);
    if (valve === 'stuck') throw new WorkflowError('VALVE_STUCK', { message: 'The valve is stuck.', fix: 'Oil it.' });
    return { degrees: 90 };
  },
  probe: async (_ctx, _input, before) => (before.was === 90 ? { state: 'applied', output: { degrees: 90 } } : { state: 'absent' }),
  undo: async () => undefined,
});

const machine = setup({
  types: {} as { context: { degrees: number; error: unknown }; input: { valve: string }; events: { type: 'again' }; meta: StateMeta },
  actors: { [turnValve.name]: actorOf(turnValve) },
}).createMachine({
  id: 'turn-valve',
  context: { degrees: 0, error: null },
  initial: 'turning',
  states: {
    turning: {
      invoke: {
        id: 'turn',
        src: turnValve.name,
        input: { valve: 'main' },
        onDone: { target: 'turned', actions: assign({ degrees: ({ event }) => event.output.degrees }) },
        onError: { target: 'stuck', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    stuck: { meta: { title: 'Stuck', events: { again: { title: 'Try again', payload: noPayload } } }, on: { again: 'turning' } },
    turned: { type: 'final', meta: { outcome: 'done' } },
  },
});

const workflow = defineWorkflow({
  name: 'turn-valve',
  title: 'Turn the valve',
  machine,
  input: z.strictObject({ valve: z.string() }),
  contracts: [turnValve],
  handlers: { [turnValve.name]: turnValveHandler },
  older: [{ machine, input: z.strictObject({}), revision: 0 }],
});

test('what is left out has its default, and older versions share name and title', () => {
  expect(workflow).toMatchObject({ description: 'Turn the valve', aliases: [], revision: 1, steps: [], show: [], migrations: [] });
  expect(workflow.older).toMatchObject([{ name: 'turn-valve', title: 'Turn the valve', revision: 0 }]);
  expect(isOwnWorkflow(workflow)).toBe(true);
  expect([{ ...workflow }, machine, null, 'turn-valve'].map(isOwnWorkflow)).toEqual([false, false, false, false]);
  expect(new WorkflowError('X', { message: 'x.' })).toBeInstanceOf(AppError);
});

test('merged, it is a workflow like any other; a handler too many or of another contract is refused with the file', () => {
  const own = { workflows: [], contracts: {} };
  const book = mergeWorkflows(own, [{ ...workflow, file: 'valve.mjs' }]);
  expect(book.workflows.map(({ name, file }) => [name, file])).toEqual([['turn-valve', 'valve.mjs']]);
  expect(Object.keys(book.contracts)).toEqual(['plant.turnValve@1']);
  expect(book.handlers['plant.turnValve@1']).toBe(turnValveHandler);
  const faultsWith = (contracts: typeof workflow.contracts, ours: Parameters<typeof mergeWorkflows>[0] = own) => {
    try {
      mergeWorkflows(ours, [{ ...workflow, contracts, file: 'valve.mjs' }]);
      return [];
    } catch (error) {
      return error instanceof AppError ? error.details?.['faults'] : error;
    }
  };
  expect(faultsWith([])).toEqual(['valve.mjs: turn-valve: a handler for plant.turnValve@1, which is none of its contracts']);
  expect(faultsWith([turnValve], { workflows: [], contracts: { [turnValve.name]: turnValve } })).toEqual([
    "valve.mjs: turn-valve: plant.turnValve@1 is Capstan's and has its handler",
  ]);
});
