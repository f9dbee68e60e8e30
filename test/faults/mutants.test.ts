/** Four engines broken on purpose, by their ports: a matrix that does not notice them would prove nothing (design §10.1). */
import { expect, test } from 'vitest';
import type { ContractLike, Hands } from '../../src/engine/hands-port.ts';
import type { Store } from '../../src/engine/ports.ts';
import { faultMatrix, type MatrixOptions } from '../../src/testing/matrix.ts';
import { relay, relayContracts } from '../helpers/relay.ts';

/** E4, C1: outcomes and launches of an owner that was robbed are taken as if the token still fitted. */
function withoutFence(store: Store): Store {
  return {
    ...store,
    async launch(key, token, at, options) {
      await store.launch(key, token, at, options);
      return true;
    },
  };
}

/** P4: the key no longer says which entering of the state it belongs to. */
function withoutEntry(store: Store): Store {
  const shorter = (key: string) => key.replace(/:\d+:/, ':1:');
  return {
    ...store,
    commit: (change) =>
      store.commit({ ...change, ...(change.open ? { open: change.open.map((row) => ({ ...row, key: shorter(row.key) })) } : {}) }),
  };
}

/** E2: the other side is always said to have nothing. */
function blindProbes(hands: Hands): Hands {
  return {
    ...hands,
    bind(contract, site) {
      const { handler, staged } = hands.bind(contract, site);
      return { staged, handler: { ...handler, ...(handler.probe ? { probe: async () => ({ state: 'absent' as const }) } : {}) } };
    },
  };
}

/** E3: `absent` is believed at once. */
function unsettled(contracts: Record<string, ContractLike>): Record<string, ContractLike> {
  return Object.fromEntries(Object.entries(contracts).map(([name, contract]) => [name, { ...contract, settleMs: 0 }]));
}

const mutants: [string, NonNullable<MatrixOptions['damage']>, RegExp][] = [
  ['no token fence', () => ({ ports: { store: withoutFence } }), /robbed asleep.*was applied 2 times/],
  ['no entry in the key', () => ({ ports: { store: withoutEntry } }), /stuck|what stands outside/],
  ['a probe that is always absent', () => ({ ports: { hands: blindProbes } }), /no answer.*was applied 2 times/],
  ['no settle time', (contracts) => ({ contracts: unsettled(contracts) }), /applied late.*was applied 2 times/],
];

test.each(mutants)(
  'an engine with %s turns the matrix red',
  async (_, damage, trace) => {
    const { differences } = await faultMatrix({ workflow: relay, contracts: relayContracts, damage, stopAfter: 5 });
    expect(differences.length).toBeGreaterThan(0);
    expect(differences.join('\n')).toMatch(trace);
  },
  120_000,
);
