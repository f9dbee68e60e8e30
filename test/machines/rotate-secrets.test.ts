import { expect, test } from 'vitest';
import { workflows } from '../../machines/registry.ts';
import { begin, plan } from '../../src/engine/plan.ts';

const { machine } = workflows['rotate-secrets'];
const service = {
  target: 'shop',
  dokploy: 'home',
  composeId: 'C',
  appName: 'shop-x',
  snapshot: 'artifact:s',
  generation: 'C',
  variables: 1,
  files: 0,
  hosts: [],
};
const change = {
  plan: 'artifact:p',
  planHash: 'h',
  say: '',
  changes: [],
  recreated: ['kong'],
  databaseRestarts: false,
  writes: [],
  warnings: [],
};
const proof = (verdict: string) => ({ verdict, url: null, checks: [], say: 'said' });

/** The state after these outcomes and events, in order. */
function walk(steps: readonly (readonly [string, unknown] | string)[]): string {
  let step = begin(machine, { target: 'shop', secret: 'jwt' });
  for (const each of steps) {
    const event = typeof each === 'string' ? { type: each } : { type: `xstate.done.actor.${each[0]}`, output: each[1] };
    step = plan(machine, step.persisted, event);
    expect(step.accepted, JSON.stringify(each)).toBe(true);
  }
  return String(step.snapshot.value);
}

const toHealth = (kind: string) =>
  [
    ['look', service],
    ['proveBefore', proof('passed')],
    ['plan', { ...change, kind }],
    'approve',
    ['changeDatabase', { changed: [] }],
    ['write', { written: [] }],
    ['deploy', { deploymentId: 'd', status: 'done', recreated: [] }],
    ['awaitHealth', { services: 1, healthy: 1, withoutCheck: 0, finished: 0 }],
  ] as const;

test('texts alone return by themselves where the instance was green; with the database told, the rollback that takes both is offered', () => {
  expect(walk([...toHealth('configuration'), ['prove', proof('failed')]])).toBe('returning');
  expect(walk([...toHealth('both'), ['storeSecret', { sha256: 'x' }], ['prove', proof('failed')]])).toBe('changeFailed');
  expect(walk([...toHealth('both'), ['storeSecret', { sha256: 'x' }], ['prove', proof('passed')]])).toBe('noting');
});
