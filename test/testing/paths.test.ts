import { expect, test } from 'vitest';
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf, defineEffect } from '../../machines/effects/contract.ts';
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import type { WorkflowLike } from '../../src/engine/registration.ts';
import { pathsOf } from '../../src/testing/paths.ts';
import { relay, relayContracts } from '../helpers/relay.ts';

const weigh = defineEffect({
  name: 'scale.weigh@1',
  title: 'Weigh',
  readOnly: true,
  input: z.object({}),
  output: z.object({ verdict: z.enum(['light', 'heavy']), grams: z.number().int().min(0) }),
});

/** Guards on an outcome, on a payload and on a counter in the context; one state that nothing leads to, one that no sample reaches. */
const machine = setup({
  types: { context: {} as { tries: number }, events: {} as { type: 'put'; kind: 'letter' | 'parcel'; code?: string } },
  actors: { 'scale.weigh@1': actorOf(weigh) },
}).createMachine({
  id: 'post',
  context: { tries: 0 },
  initial: 'open',
  states: {
    open: {
      meta: {
        title: 'What is it?',
        events: {
          put: { title: 'Put it down', payload: z.strictObject({ kind: z.enum(['letter', 'parcel']), code: z.string().optional() }) },
        },
      },
      on: {
        put: [
          { guard: ({ event }) => event.code === 'open sesame', target: 'secret' },
          { guard: ({ event, context }) => event.kind === 'parcel' && context.tries < 2, target: 'weighing' },
          { guard: ({ event }) => event.kind === 'parcel', target: 'refused' },
          { target: 'sent' },
        ],
      },
    },
    weighing: {
      invoke: {
        id: 'weigh',
        src: 'scale.weigh@1',
        input: {},
        onDone: [
          {
            guard: ({ event }) => event.output.verdict === 'heavy',
            target: 'open',
            actions: assign({ tries: ({ context }) => context.tries + 1 }),
          },
          { target: 'sent' },
        ],
        onError: { target: 'open' },
      },
    },
    sent: { type: 'final', meta: { outcome: 'done' } },
    refused: { type: 'final', meta: { outcome: 'failed' } },
    secret: { type: 'final', meta: { outcome: 'done' } },
    lonely: { type: 'final', meta: { outcome: 'done' } },
  },
});
const post: WorkflowLike = { ...relay, name: 'post', machine, input: z.strictObject({}) };
const postContracts = { [weigh.name]: weigh };

test('each branch of a guard gets its payload, outcome or count, and what stays unreached is named', () => {
  const report = pathsOf({ workflow: post, contracts: postContracts });
  expect(report.leftOut.sort()).toEqual([
    'the state post.lonely was not reached',
    'the state post.secret was not reached',
    'the transition post.open put #1 was not taken',
  ]);
  const refused = report.paths.find((path) => path.state === 'refused');
  expect(refused?.steps.map((step) => step.state)).toEqual(['weighing', 'open', 'weighing', 'open', 'refused']);
});

test('a hint gives what no schema can tell', () => {
  const hints = { events: { put: { code: 'open sesame' } } };
  const states = pathsOf({ workflow: post, contracts: postContracts, hints }).paths.map((path) => path.state);
  expect(states).toContain('secret');
});

test('a limit is told, never silent', () => {
  const say = (limits: object) => pathsOf({ workflow: post, contracts: postContracts, limits }).leftOut.join('; ');
  expect(say({ places: 1 })).toContain('places after the first 1 were not looked at (limit)');
  expect(say({ paths: 1 })).toMatch(/\d+ further paths \(limit 1\)/);
  expect(say({ variants: 1 })).toMatch(/further samples of the payload of put in open \(limit 1\)/);
});

test('every path of the relay rests at its end, and a timer is one of its steps', () => {
  const { paths, leftOut, states, transitions } = pathsOf({ workflow: relay, contracts: relayContracts });
  expect(leftOut).toEqual([]);
  expect([states.reached, transitions.covered]).toEqual([states.all, transitions.all]);
  expect(paths.every(({ state }) => ['resting', 'broken', 'done', 'left', 'asking'].includes(state))).toBe(true);
  expect(paths.some(({ steps }) => steps.some((step) => step.kind === 'timer'))).toBe(true);
});

test.each(Object.values(workflows).map((workflow) => [workflow.name, workflow] as const))(
  '%s: no state and no transition is left out',
  (_, workflow) => {
    expect(pathsOf({ workflow, contracts }).leftOut).toEqual([]);
  },
  60_000,
);
