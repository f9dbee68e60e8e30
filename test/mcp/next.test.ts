/** `next` always says who acts and what to do (design §5): in every state of every registered workflow, however the run stands there. */
import { expect, test } from 'vitest';
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import type { Catalog, Definition } from '../../src/engine/catalog.ts';
import { describe } from '../../src/engine/describe.ts';
import type { ContractLike } from '../../src/engine/hands-port.ts';
import type { EffectRow, RunRow } from '../../src/engine/ports.ts';
import { type RunView, viewOf } from '../../src/engine/view.ts';
import { toJsonSchema } from '../../src/json-schema.ts';
import { runViewSchema } from '../../src/mcp/run-view-schema.ts';
import { parseArguments } from '../../src/mcp/tool.ts';
import { toolsOf } from '../../src/mcp/toolset.ts';
import { pathsOf } from '../../src/testing/paths.ts';
import { routeAlong } from '../../src/testing/route.ts';
import type { Place } from '../../src/testing/walk.ts';

const known: Record<string, ContractLike> = contracts;
const at = Date.UTC(2026, 10, 25);
const error = { code: 'SOMETHING', message: 'Something failed.', fix: 'Look at it.', retry: 'ask' as const };

function runAt(workflow: string, place: Place): RunRow {
  const { snapshot, persisted } = place.step;
  const { state, outcome } = describe(snapshot);
  return {
    id: '01a212ec-c050-7d47-a140-3b1b05239f84',
    workflow,
    definitionHash: 'x',
    name: 'shop',
    phase: snapshot.status === 'done' ? (outcome ?? 'done') : 'active',
    version: 7,
    state,
    snapshot: JSON.parse(JSON.stringify(persisted)),
    output: snapshot.output ?? null,
    error: null,
    held: false,
    attention: null,
    rollback: null,
    principal: 'local',
    traceId: 't',
    parentId: null,
    parentKey: null,
    createdAt: at,
    updatedAt: at,
  };
}

function effectAt(invokeId: string, contract: string): EffectRow {
  return {
    key: `r:6:${invokeId}`,
    runId: 'r',
    traceId: 't',
    kind: 'do',
    undoOf: null,
    entrySeq: 6,
    invokeId,
    contract,
    input: {},
    output: null,
    error: null,
    status: 'running',
    outside: 'untouched',
    failing: null,
    attention: null,
    hasBefore: false,
    attempt: 1,
    probes: 0,
    worker: 'w',
    token: 't',
    lastSignAt: at,
    notBefore: 0,
    progress: { say: 'half', percent: 50, at },
    createdAt: at,
    startedAt: at,
    settledAt: null,
    settledSeq: null,
  };
}

/** The view as JSON, as every door sends it; throws when it is not of the promised shape. */
function shown(view: RunView): RunView {
  const sent: unknown = JSON.parse(JSON.stringify(view));
  return runViewSchema.parse(sent) as RunView; // the schema says the same as the type
}

function requireNext({ next, status, state, waitingFor }: RunView): void {
  const where = `${state} (${status})`;
  expect(next.say.length, where).toBeGreaterThan(10);
  expect(next.say, where).toMatch(/[.!?:)"]$/);
  if (next.call) {
    const tool = toolsOf().find(({ definition }) => definition.name === next.call?.tool);
    expect(tool, where).toBeDefined();
    if (tool) parseArguments(tool.definition, next.call.arguments);
  }
  if (next.who === 'you') expect(next.call, where).toBeDefined();
  if (status === 'waiting' && waitingFor.length > 0) {
    expect(next.who, where).toBe('you');
    for (const { event } of waitingFor) expect(next.say, where).toContain(event);
  }
  if (status === 'needs_attention' || status === 'held') expect(next.who, where).toBe('human');
}

test.each(Object.values(workflows).map((workflow) => [workflow.name, workflow] as const))('every state of %s', (name, workflow) => {
  const definition: Definition = { ...workflow, hash: 'x' };
  const catalog: Catalog = {
    list: () => [definition],
    current: () => [definition],
    workflow: () => definition,
    definitionFor: () => definition,
    migrationFor: () => undefined,
    hasMigrations: () => false,
    contract: (contract) => known[contract] ?? { name: contract, title: contract, input: workflow.input, output: workflow.input },
    jsonSchema: toJsonSchema,
  };
  const report = pathsOf({ workflow, contracts: known });
  const seen = new Set<string>();
  for (const path of report.paths) {
    const route = routeAlong(workflow.machine, path.input, path.steps);
    if (!route) throw new Error(`the path ${path.name} is not taken`);
    for (const place of [route.start, ...route.steps.map((step) => step.place)]) {
      const run = runAt(name, place);
      const situation = `${run.state} ${[...place.open.keys()].join()}`;
      if (seen.has(situation)) continue; // the views of a state differ by what is open in it
      seen.add(situation);
      const open = [...place.open].map(([invokeId, contract]) => effectAt(invokeId, contract));
      const parts = { run, open, checkpoints: [], approvals: [], blockers: [], someoneWorks: () => true };
      const running = run.phase === 'active';
      for (const view of [
        viewOf(catalog, parts),
        viewOf(catalog, { ...parts, someoneWorks: () => false }),
        ...(running ? [viewOf(catalog, { ...parts, run: { ...run, held: true } })] : []),
        ...(running ? [viewOf(catalog, { ...parts, run: { ...run, attention: error } })] : []),
        ...(running && open.length > 0
          ? [viewOf(catalog, { ...parts, blockers: [{ lock: 'target:x', runId: 'r2', name: 'other' }] })]
          : []),
        viewOf(catalog, {
          ...parts,
          open: [],
          run: { ...run, phase: 'rolling_back', rollback: { to: 1, stage: 'undoing', approved: [], principal: 'p', requestedAt: at } },
        }),
        viewOf(catalog, { ...parts, run: { ...run, definitionHash: 'of another version' } }),
      ])
        requireNext(shown(view));
    }
  }
  expect(seen.size).toBeGreaterThan(report.states.reached / 2); // outer states are part of their inner ones' names
  expect(report.states.reached).toBe(report.states.all);
});
