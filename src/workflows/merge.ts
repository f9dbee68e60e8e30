/** Capstan's workflows and those of a user as one rule book and one pair of hands. */
import type { Handler } from '../effects/handler.ts';
import type { BundledWorkflow } from '../engine/catalog.ts';
import type { ContractLike, Hands } from '../engine/hands-port.ts';
import { AppError } from '../errors.ts';
import type { LoadedWorkflow } from './load.ts';

type AnyHandler = Handler<never, unknown, never>;
export type RuleBook = {
  workflows: BundledWorkflow[];
  contracts: Record<string, ContractLike>;
  /** Handlers of the users' contracts only. */
  handlers: Record<string, AnyHandler>;
};

/** Throws DEFINITION_REFUSED when a user's contract has the name of another one; names of workflows are the catalog's affair. */
export function mergeWorkflows(
  own: { workflows: readonly BundledWorkflow[]; contracts: Record<string, ContractLike> },
  loaded: readonly LoadedWorkflow[],
): RuleBook {
  const book: RuleBook = { workflows: [...own.workflows], contracts: { ...own.contracts }, handlers: {} };
  const faults: string[] = [];
  for (const { contracts, handlers, ...workflow } of loaded) {
    const say = (what: string) => faults.push(`${workflow.file}: ${workflow.name}: ${what}`);
    for (const contract of contracts) {
      const known = book.contracts[contract.name];
      if (known !== undefined && known !== contract) say(`the contract ${contract.name} is taken by another one`);
      book.contracts[contract.name] ??= contract;
      const handler = handlers[contract.name];
      const other = book.handlers[contract.name];
      if (handler !== undefined && other !== undefined && other !== handler) say(`the contract ${contract.name} has two handlers`);
      if (handler !== undefined && contract.name in own.contracts) say(`${contract.name} is Capstan's and has its handler`);
      // The engine hands back what `prepare` gave; its type was checked by defineHandler.
      else if (handler !== undefined) book.handlers[contract.name] = handler as AnyHandler;
    }
    for (const name of Object.keys(handlers)) {
      if (!contracts.some((contract) => contract.name === name)) say(`a handler for ${name}, which is none of its contracts`);
    }
    book.workflows.push(workflow);
  }
  if (faults.length === 0) return book;
  throw new AppError('DEFINITION_REFUSED', {
    message: `A workflow breaks the rules: ${faults.join('; ')}.`,
    fix: 'Mend the definition; nothing was registered.',
    details: { faults },
  });
}

/**
 * Hands that also answer for effects nobody here has a handler for (V3): never carried out, never believed done or absent,
 * never taken back. A process that has the handler takes them up.
 */
export function withStrangers(hands: Hands): Hands {
  const say = (name: string) => `The effect ${name} belongs to a workflow that is not loaded here.`;
  return {
    has: hands.has,
    abilities: (name) => (hands.has(name) ? hands.abilities(name) : { prepare: false, probe: true, undo: false, mayUndo: true }),
    bind(name, site) {
      if (hands.has(name)) return hands.bind(name, site);
      const fix = 'Start Capstan with --workflows and the folder that holds it.';
      return {
        staged: () => ({ secrets: [], artifacts: [], targets: [] }),
        handler: {
          run: async () => {
            throw new AppError('CONTRACT_UNKNOWN', { message: say(name), fix, retry: 'ask' });
          },
          probe: async () => ({ state: 'unknown', say: say(name) }),
          mayUndo: async () => ({ ok: false, code: 'CONTRACT_UNKNOWN', message: say(name), fix }),
        },
      };
    },
  };
}
