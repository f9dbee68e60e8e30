/**
 * The registered workflows, contracts and versions (engine.md R, V). Invariants:
 * 1. Nothing that breaks R1-R6 gets in, an older version as little as the current one.
 * 2. A run goes on under its own hash, current or bundled, and under nothing else (V2, V3).
 * 3. A contract that is not known here is never carried out; its effects can be looked at (V3).
 */
import { AppError } from '../errors.ts';
import { childFaults } from './children.ts';
import type { ContractLike, Hands, SchemaLike } from './hands-port.ts';
import type { Crypto } from './ports.ts';
import { definitionOf, faultsOf, type WorkflowLike } from './registration.ts';

/** Carries a run at rest from an earlier definition to the current one (V3); a function of its arguments. */
export type DefinitionMigration = {
  /** Hash of the definition that the run was started under. */
  from: string;
  /** Takes the persisted snapshot and its context; returns the persisted snapshot for the current machine. May throw to refuse. */
  migrate: (snapshot: Record<string, unknown>, context: Record<string, unknown>) => unknown;
};

/** A workflow with what it brings for runs of its earlier versions. */
export type BundledWorkflow = WorkflowLike & {
  /** Earlier versions whose runs go on under their own hash. */
  older?: readonly WorkflowLike[] | undefined;
  migrations?: readonly DefinitionMigration[] | undefined;
  /** Where it was read from, named in every fault. */
  file?: string | undefined;
};

export type Definition = WorkflowLike & { hash: string };

export type Catalog = {
  /** Every version of every workflow, the current ones first. */
  list(): Definition[];
  /** What can be started: the current version of each workflow. */
  current(): Definition[];
  /** By name or alias. Throws WORKFLOW_UNKNOWN. */
  workflow(name: string): Definition;
  /** The definition of a stored run. Throws DEFINITION_CHANGED when this process has no definition of its hash (V2). */
  definitionFor(run: { workflow: string; definitionHash: string; id: string }): Definition;
  /** How a run of another definition may become one of the current (V3), if a migration is registered. */
  migrationFor(run: { workflow: string; definitionHash: string }): { migration: DefinitionMigration; to: Definition } | undefined;
  hasMigrations(): boolean;
  /** A contract that nobody registered here comes back as a stand-in with its name as title. */
  contract(name: string): ContractLike;
  jsonSchema(schema: SchemaLike): unknown;
};

type Deps = {
  workflows: readonly BundledWorkflow[];
  contracts: Record<string, ContractLike>;
  hands: Hands;
  crypto: Pick<Crypto, 'hash'>;
  toJsonSchema: (schema: SchemaLike) => unknown;
};

/** Throws DEFINITION_REFUSED with every fault found. */
export function createCatalog(deps: Deps): Catalog {
  const { workflows, contracts, toJsonSchema } = deps;
  const { byName, byHash, migrations, faults } = register(deps);
  if (faults.length > 0) {
    throw new AppError('DEFINITION_REFUSED', {
      message: `A workflow breaks the rules: ${faults.join('; ')}.`,
      fix: 'Mend the definition; nothing was registered.',
      details: { faults },
    });
  }
  const current = [...new Set(byName.values())];
  const all = [...new Set([...current, ...byHash.values()])];
  return {
    list: () => all,
    current: () => current,
    workflow(name) {
      const found = byName.get(name);
      if (found) return found;
      const known = current.map((definition) => definition.name);
      throw new AppError('WORKFLOW_UNKNOWN', {
        message: `There is no workflow ${JSON.stringify(name.slice(0, 60))}.`,
        fix: `Choose one of: ${known.join(', ')}.`,
        details: { known },
      });
    },
    definitionFor(run) {
      const found = byHash.get(versionKey(run.workflow, run.definitionHash));
      if (found) return found;
      throw notHere(run, workflows);
    },
    migrationFor(run) {
      const migration = migrations.get(versionKey(run.workflow, run.definitionHash));
      const to = byName.get(run.workflow);
      return migration && to ? { migration, to } : undefined;
    },
    hasMigrations: () => migrations.size > 0,
    contract: (name) => contracts[name] ?? standIn(name),
    jsonSchema: toJsonSchema,
  };
}

type Registered = {
  byName: Map<string, Definition>;
  byHash: Map<string, Definition>;
  migrations: Map<string, DefinitionMigration>;
  faults: string[];
};

function register({ workflows, contracts, hands, crypto, toJsonSchema }: Deps): Registered {
  const out: Registered = { byName: new Map(), byHash: new Map(), migrations: new Map(), faults: childFaults(workflows, contracts) };
  for (const workflow of workflows) {
    const say = (fault: string) => out.faults.push(workflow.file === undefined ? fault : `${workflow.file}: ${fault}`);
    const define = (version: WorkflowLike): Definition => {
      for (const fault of faultsOf(version, contracts, hands, toJsonSchema)) say(fault);
      const definition = { ...version, hash: crypto.hash(definitionOf(version, contracts, toJsonSchema)) };
      const key = versionKey(workflow.name, definition.hash);
      if (out.byHash.has(key)) say(`V3 ${workflow.name}: the same definition twice (revision ${version.revision})`);
      out.byHash.set(key, definition);
      return definition;
    };
    const current = define(workflow);
    for (const name of [workflow.name, ...workflow.aliases]) {
      if (out.byName.has(name)) say(`the workflow name ${name} twice`);
      else out.byName.set(name, current);
    }
    for (const version of workflow.older ?? []) {
      if (version.name !== workflow.name) say(`V3 ${workflow.name}: an older version is called ${version.name}`);
      define(version);
    }
    for (const migration of workflow.migrations ?? []) {
      const key = versionKey(workflow.name, migration.from);
      if (out.byHash.has(key)) say(`V3 ${workflow.name}: a migration from ${migration.from.slice(0, 12)}, which is bundled or current`);
      out.migrations.set(key, migration);
    }
  }
  return out;
}

function versionKey(workflow: string, hash: string): string {
  return `${workflow}@${hash}`;
}

function notHere(run: { workflow: string; id: string }, workflows: readonly WorkflowLike[]): AppError {
  const known = workflows.some((workflow) => workflow.name === run.workflow);
  return new AppError('DEFINITION_CHANGED', {
    message: known
      ? `The run ${run.id} was started under another version of ${run.workflow}.`
      : `The run ${run.id} belongs to the workflow ${run.workflow}, which is not loaded here.`,
    fix: known
      ? 'Continue it with the version of Capstan that started it; here it can be inspected, cancelled and rolled back.'
      : 'Start Capstan with --workflows and the folder that holds it; here the run can be inspected and cancelled.',
  });
}

/** Mutating and without any ability: whatever asks for it is refused by the hands, and what it did can still be named. */
function standIn(name: string): ContractLike {
  const anything: SchemaLike = { safeParse: (data) => ({ success: true, data }) };
  return { name, title: `${name} (not known here)`, input: anything, output: anything };
}
