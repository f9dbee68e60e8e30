import { AppError } from '../errors.ts';
import type { ContractLike, Crypto, Hands, SchemaLike } from './ports.ts';
import { definitionOf, faultsOf, type WorkflowLike } from './registration.ts';

export type Definition = WorkflowLike & { hash: string };

/** The registered workflows and contracts; nothing that breaks a rule gets in (R1-R6). */
export type Catalog = {
  list(): Definition[];
  /** By name or alias. Throws WORKFLOW_UNKNOWN. */
  workflow(name: string): Definition;
  /** The definition of a stored run. Throws DEFINITION_CHANGED when this process has another one (V2). */
  definitionFor(run: { workflow: string; definitionHash: string; id: string }): Definition;
  contract(name: string): ContractLike;
  jsonSchema(schema: SchemaLike): unknown;
};

/** Throws DEFINITION_REFUSED with every fault found. */
export function createCatalog(deps: {
  workflows: readonly WorkflowLike[];
  contracts: Record<string, ContractLike>;
  hands: Hands;
  crypto: Pick<Crypto, 'hash'>;
  toJsonSchema: (schema: SchemaLike) => unknown;
}): Catalog {
  const { workflows, contracts, hands, crypto, toJsonSchema } = deps;
  const byName = new Map<string, Definition>();
  const faults: string[] = [];
  for (const workflow of workflows) {
    faults.push(...faultsOf(workflow, contracts, hands, toJsonSchema));
    const definition = { ...workflow, hash: crypto.hash(definitionOf(workflow, contracts, toJsonSchema)) };
    for (const name of [workflow.name, ...workflow.aliases]) {
      if (byName.has(name)) faults.push(`the workflow name ${name} twice`);
      byName.set(name, definition);
    }
  }
  if (faults.length > 0) {
    throw new AppError('DEFINITION_REFUSED', {
      message: `A workflow breaks the rules: ${faults.join('; ')}.`,
      fix: 'Mend the definition; nothing was registered.',
      details: { faults },
    });
  }
  return {
    list: () => [...new Set(byName.values())],
    workflow(name) {
      const found = byName.get(name);
      if (found) return found;
      const known = [...new Set(byName.values())].map((definition) => definition.name);
      throw new AppError('WORKFLOW_UNKNOWN', {
        message: `There is no workflow ${JSON.stringify(name.slice(0, 60))}.`,
        fix: `Choose one of: ${known.join(', ')}.`,
        details: { known },
      });
    },
    definitionFor(run) {
      const found = byName.get(run.workflow);
      if (found?.hash === run.definitionHash) return found;
      throw new AppError('DEFINITION_CHANGED', {
        message: `The run ${run.id} was started under another version of ${run.workflow}.`,
        fix: 'Continue it with the version of Capstan that started it; here it can be inspected and cancelled.',
      });
    },
    contract(name) {
      const contract = contracts[name];
      if (!contract) throw new TypeError(`no contract ${name}`);
      return contract;
    },
    jsonSchema: toJsonSchema,
  };
}
