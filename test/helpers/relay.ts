/** A small workflow over the fake world: ask, three writes with a read between, rest, finish. Used by the engine's tests. */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf, type Contract, defineEffect } from '../../machines/effects/contract.ts';
import { noPayload } from '../../machines/effects/meta.ts';
import { defineHandler, type Handler } from '../../src/effects/handler.ts';
import { createHands } from '../../src/effects/hands.ts';
import type { ContractLike, Hands } from '../../src/engine/hands-port.ts';
import type { WorkflowLike } from '../../src/engine/registration.ts';
import { AppError } from '../../src/errors.ts';
import { toJsonSchema } from '../../src/json-schema.ts';
import { askWorld } from './fake-world.ts';

export { toJsonSchema };

const quick = { timeoutMs: 2_000, settleMs: 150, deadlineMs: 6_000, retry: { attempts: 4, baseMs: 10, maxMs: 50 } };
const shape = { input: z.object({ n: z.number(), lock: z.string().optional() }), output: z.object({ id: z.string() }) };

/** Runs that are started with the same `lock` exclude each other in the second and third write. */
const lockOf = ({ lock }: { lock?: string | undefined }) => (lock === undefined ? [] : [lock]);

export const first = defineEffect({ name: 'world.first@1', title: 'First write', ...shape, ...quick });
export const second = defineEffect({ name: 'world.second@1', title: 'Second write', ...shape, ...quick, locks: lockOf });
export const third = defineEffect({
  name: 'world.third@1',
  title: 'Third write',
  locks: lockOf,
  ...shape,
  ...quick,
  leaves: 'a note in the log of the world',
});
export const look = defineEffect({
  name: 'world.look@1',
  title: 'Look',
  input: z.object({}),
  output: z.object({ standing: z.number() }),
  readOnly: true,
  ...quick,
});
export const seal = defineEffect({ name: 'world.seal@1', title: 'Seal', ...shape, ...quick, pointOfNoReturn: true });
const writes = [first, second, third, seal] as const;

type Context = { lock?: string; ids: string[]; seen: number; error: unknown; planHash: string };
const input = ({ context }: { context: Context }) => ({
  n: context.ids.length,
  ...(context.lock === undefined ? {} : { lock: context.lock }),
});

const machine = setup({
  types: {
    input: {} as { lock?: string },
    context: {} as Context,
    events: {} as { type: 'go' } | { type: 'finish' } | { type: 'again' } | { type: 'leave' } | { type: 'let' },
  },
  actors: {
    [first.name]: actorOf(first),
    [second.name]: actorOf(second),
    [third.name]: actorOf(third),
    [look.name]: actorOf(look),
    [seal.name]: actorOf(seal),
  },
}).createMachine({
  id: 'relay',
  context: ({ input: start }) => ({
    ...(start.lock === undefined ? {} : { lock: start.lock }),
    ids: [],
    seen: 0,
    error: null,
    planHash: 'abc',
  }),
  initial: 'asking',
  states: {
    asking: {
      meta: {
        title: 'Shall it start?',
        checkpoint: 'asking',
        events: {
          go: { title: 'Start', payload: z.strictObject({ note: z.string().max(100).optional() }) },
          leave: { title: 'Leave', payload: noPayload },
        },
      },
      on: { go: 'one', leave: 'left' },
    },
    one: {
      invoke: {
        id: 'first',
        src: first.name,
        input,
        onDone: { target: 'looking', actions: assign({ ids: ({ context, event }) => [...context.ids, event.output.id] }) },
        onError: { target: 'broken', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    looking: {
      invoke: {
        id: 'look',
        src: look.name,
        input: {},
        onDone: { target: 'two', actions: assign({ seen: ({ event }) => event.output.standing }) },
        onError: { target: 'broken', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    two: {
      invoke: {
        id: 'second',
        src: second.name,
        input,
        onDone: { target: 'three', actions: assign({ ids: ({ context, event }) => [...context.ids, event.output.id] }) },
        onError: { target: 'broken', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    three: {
      invoke: {
        id: 'third',
        src: third.name,
        input,
        onDone: { target: 'resting', actions: assign({ ids: ({ context, event }) => [...context.ids, event.output.id] }) },
        onError: { target: 'broken', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    resting: {
      meta: {
        title: 'All written',
        checkpoint: 'resting',
        rollback: { to: 'asking', when: 'offered' },
        events: {
          finish: { title: 'Seal it', payload: noPayload, confirm: 'Seal the world for good.' },
          again: { title: 'Write the second again', payload: noPayload },
          let: { title: 'Let others work here', payload: noPayload },
        },
      },
      on: { finish: 'sealing', again: 'two', let: 'released' },
      after: { 86400000: 'broken' },
    },
    released: {
      meta: { title: 'Others may work', checkpoint: 'released', releases: true, events: { leave: { title: 'Leave', payload: noPayload } } },
      on: { leave: 'left' },
    },
    sealing: {
      invoke: {
        id: 'seal',
        src: seal.name,
        input,
        onDone: { target: 'done', actions: assign({ ids: ({ context, event }) => [...context.ids, event.output.id] }) },
        onError: { target: 'resting', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    broken: {
      meta: {
        title: 'Something failed',
        events: { go: { title: 'Start again', payload: noPayload }, leave: { title: 'Leave', payload: noPayload } },
      },
      on: { go: 'one', leave: 'left' },
    },
    done: { type: 'final', meta: { outcome: 'done' } },
    left: { type: 'final', meta: { outcome: 'failed' } },
  },
  output: ({ context }) => ({ ids: context.ids }),
});

export const relay: WorkflowLike = {
  name: 'relay',
  title: 'Relay',
  description: 'Three writes',
  aliases: ['relay_alias'],
  revision: 1,
  machine,
  input: z.strictObject({ lock: z.string().optional() }),
  steps: ['ask', 'write', 'rest'],
  show: ['ids', 'seen'],
};

export const relayContracts: Record<string, ContractLike> = Object.fromEntries(
  [...writes, look].map((contract) => [contract.name, contract]),
);

function writer(contract: Contract<string, typeof shape.input, typeof shape.output>, url: string) {
  const name = contract.name.slice('world.'.length, -2);
  const call = async (path: string, key: string) => {
    try {
      return await askWorld<{ id: string; standing: boolean }>(url, path, { key, name });
    } catch (cause) {
      const refused = cause instanceof Error && cause.message.includes('400');
      throw new AppError(refused ? 'WORLD_REFUSED' : 'WORLD_SILENT', {
        message: 'The world did not answer.',
        retry: refused ? 'never' : 'later',
        applied: refused ? 'no' : 'unknown',
        cause,
      });
    }
  };
  return defineHandler(contract, {
    prepare: async () => ({ before: `was ${name}` }),
    run: async (ctx) => ({ id: (await call('/apply', ctx.key)).id }),
    probe: async (ctx) =>
      (await call('/probe', ctx.key)).standing ? { state: 'applied', output: { id: `${name}-probed` } } : { state: 'absent' },
    undo: async (ctx) => {
      await call('/undo', ctx.key);
    },
  });
}

/** The hands of the relay over a running world. */
export function relayHands(url: string) {
  return (tools: {
    vault: Parameters<typeof createHands>[0]['vault'];
    clock: { now(): number; wait(ms: number, signal?: AbortSignal): Promise<void> };
  }): Hands => {
    // The keys are the contract names that each handler was made for.
    const handlers = {
      ...Object.fromEntries(writes.map((contract) => [contract.name, writer(contract, url)])),
      [look.name]: defineHandler(look, {
        run: async () => ({ standing: Object.keys((await askWorld<{ standing: object }>(url, '/state')).standing).length }),
      }),
    } as Record<string, Handler<never, unknown, never>>;
    const dokploy = async () => {
      throw new Error('the relay knows no dokploy');
    };
    return createHands({
      handlers,
      now: tools.clock.now,
      wait: tools.clock.wait,
      vault: tools.vault,
      dokploy,
      target: () => Promise.reject(new Error('none')),
      snapshots: async () => [],
    });
  };
}
