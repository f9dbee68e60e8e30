import { expect, test } from 'vitest';
import { assign, createMachine, raise, sendTo, setup } from 'xstate';
import { z } from 'zod';
import { actorOf } from '../../machines/effects/contract.ts';
import { begin, plan, reduce } from '../../src/engine/plan.ts';
import { faultsOf, type WorkflowLike } from '../../src/engine/registration.ts';
import { first, relay, relayContracts, relayHands, toJsonSchema } from '../helpers/relay.ts';

test('entering a state with after arms one timer, leaving it disarms the same (P2)', () => {
  const machine = createMachine({ initial: 'a', states: { a: { on: { go: 'b' }, after: { 500: 'b' } }, b: {} } });
  const start = begin(machine, undefined);
  expect(start.operations).toMatchObject([{ op: 'arm', delayMs: 500 }]);
  const timerId = start.operations[0]?.op === 'arm' ? start.operations[0].timerId : '';
  expect(plan(machine, start.persisted, { type: 'go' }).operations).toEqual([{ op: 'disarm', timerId }]);
});

test('re-entering stops and starts the same invoke id, in this order (P2)', () => {
  const machine = relay.machine;
  const going = plan(machine, begin(machine, {}).persisted, { type: 'go' });
  expect(going.operations).toMatchObject([{ op: 'start', invokeId: 'first', contract: 'world.first@1', input: { n: 0 } }]);
  const raw = [
    { type: 'xstate.stopChild', params: { id: 'x' } },
    { type: 'xstate.spawnChild', params: { id: 'x', src: 'a@1', input: 1 } },
    { type: 'xstate.stopChild', params: { id: 'x' } },
    { type: 'xstate.spawnChild', params: { id: 'x', src: 'a@1', input: 2 } },
  ];
  expect(reduce(raw)).toEqual([
    { op: 'stop', invokeId: 'x' },
    { op: 'start', invokeId: 'x', contract: 'a@1', input: 2 },
  ]);
  expect(reduce(raw.slice(1, 3))).toEqual([{ op: 'stop', invokeId: 'x' }]);
});

test('an unknown event changes nothing, a throwing guard and a lost state are faults of the definition (C5)', () => {
  const machine = createMachine({
    initial: 'a',
    states: {
      a: {
        on: {
          boom: {
            guard: () => {
              throw new Error('no');
            },
            target: 'a',
          },
        },
      },
    },
  });
  const start = begin(machine, undefined);
  expect(plan(machine, start.persisted, { type: 'nothing' })).toMatchObject({
    accepted: false,
    operations: [],
    persisted: start.persisted,
  });
  expect(() => plan(machine, start.persisted, { type: 'boom' })).toThrow(/guard/);
  expect(() => plan(machine, { ...(start.persisted as object), value: 'gone' }, { type: 'boom' })).toThrow(/definition/);
});

test('history survives storing (P1)', () => {
  const machine = createMachine({
    initial: 'p',
    states: {
      p: { initial: 'a', states: { a: { on: { next: 'b' } }, b: {}, h: { type: 'history' } }, on: { out: 'q' } },
      q: { on: { back: 'p.h' } },
    },
  });
  let at = begin(machine, undefined).persisted;
  for (const type of ['next', 'out', 'back']) at = JSON.parse(JSON.stringify(plan(machine, at, { type }).persisted));
  expect(at).toMatchObject({ value: { p: 'b' } });
});

const hands = relayHands('http://127.0.0.1:1')({ vault: {} as never, clock: { now: () => 0, wait: async () => undefined } }); // nothing is called
const faults = (states: object, contracts = relayContracts): string[] => {
  // A machine that breaks a rule cannot be typed by setup(); it comes from users as plain config.
  const machine = createMachine({ id: 'm', initial: 'a', states } as never).provide({
    actors: { 'world.first@1': actorOf(first) },
  } as never);
  return faultsOf({ ...relay, machine } as WorkflowLike, contracts, hands, toJsonSchema);
};
const okMeta = { meta: { title: 't', events: { go: { title: 'g', payload: z.strictObject({}) } } } };
const invoke = { id: 'i', src: 'world.first@1', onDone: { target: 'b' }, onError: { target: 'b' } };

test('the relay may be registered', () => {
  expect(faultsOf(relay, relayContracts, hands, toJsonSchema)).toEqual([]);
});

test.each([
  ['R1 an invoke without id', { a: { invoke: { ...invoke, id: undefined } }, b: {} }, /R1.*without id/],
  ['R1 without onError', { a: { invoke: { ...invoke, onError: undefined } }, b: {} }, /R1.*without onError/],
  ['R1 a guarded last branch', { a: { invoke: { ...invoke, onDone: [{ guard: () => true, target: 'b' }] } }, b: {} }, /R1.*guard/],
  ['R1 a targetless onDone', { a: { invoke: { ...invoke, onDone: {} } }, b: {} }, /R1.*targetless/],
  ['R1 the same id twice', { a: { invoke }, b: { invoke } }, /R1.*twice/],
  ['R1 no contract', { a: { invoke: { ...invoke, src: 'no.thing@1' } }, b: {} }, /R1.*contract/],
  ['R1 no actor in the machine', { a: { invoke: { ...invoke, src: 'world.second@1' } }, b: {} }, /R1.*actorOf/],
  ['R1 after beside an invoke', { a: { invoke, after: { 100: 'b' } }, b: {} }, /R1.*after/],
  ['R2 another action', { a: { ...okMeta, entry: sendTo('x', { type: 'y' }), on: { go: 'b' } }, b: {} }, /R2.*action/],
  ['R2 a delayed raise without id', { a: { ...okMeta, entry: raise({ type: 'go' }, { delay: 5 }), on: { go: 'b' } }, b: {} }, /R2.*raise/],
  [
    'R2 a wildcard',
    { a: { meta: { title: 't', events: { '*': { title: 'g', payload: z.strictObject({}) } } }, on: { '*': 'b' } }, b: {} },
    /R2.*wildcard/,
  ],
  [
    'R2 a reserved event',
    { a: { meta: { title: 't', events: { cancel: { title: 'g', payload: z.strictObject({}) } } }, on: { cancel: 'b' } }, b: {} },
    /R2.*reserved/,
  ],
  ['R5 no title', { a: { on: { go: 'b' } }, b: {} }, /R5/],
  [
    'R5 a payload without JSON Schema',
    { a: { meta: { title: 't', events: { go: { title: 'g', payload: z.date() } } }, on: { go: 'b' } }, b: {} },
    /R5.*JSON Schema/,
  ],
  ['R6 a final without outcome', { a: { ...okMeta, on: { go: 'b' } }, b: { type: 'final' } }, /R6/],
])('registration refuses %s', (_, states, what) => {
  expect(faults(states).join('\n')).toMatch(what);
});

test('R4 a mutating contract needs an undo and a probe', () => {
  const bare = { ...hands, abilities: () => ({ prepare: false, probe: false, undo: false, mayUndo: false }) };
  const said = faultsOf(relay, relayContracts, bare, toJsonSchema).join('\n');
  expect(said).toMatch(/R4 world.first@1: mutating without undo/);
  expect(said).toMatch(/R4 world.first@1: mutating without probe/);
  expect(said).not.toMatch(/R4 world.look@1/);
  expect(said).not.toMatch(/R4 world.seal@1: mutating without undo/);
});

test('assign, raise without delay and cancel are allowed', () => {
  const machine = setup({}).createMachine({
    id: 'ok',
    initial: 'a',
    context: { n: 0 },
    states: { a: { entry: [assign({ n: 1 }), raise({ type: 'x' })] } },
  });
  expect(faultsOf({ ...relay, machine } as WorkflowLike, relayContracts, hands, toJsonSchema)).toEqual([]);
});
