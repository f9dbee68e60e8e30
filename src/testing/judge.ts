/** What is compared after a case; every sentence is one difference. */
import type { EventRow } from '../engine/ports.ts';
import type { FakeWorld } from './fake-world.ts';
import { type Expected, plainContext } from './script.ts';
import type { Seen } from './theatre.ts';

export function differencesOf(seen: Seen, world: FakeWorld, expected: Expected): string[] {
  const { run, effects } = seen;
  const context = plainContext((run.snapshot as { context: unknown }).context); // a persisted snapshot carries its context
  return [
    ...differ('state', run.state, expected.state),
    ...differ('phase', run.phase, expected.phase),
    ...differ('context', context, expected.context),
    ...differ('events', seen.events.map(({ type }) => type).join(' '), expected.events.join(' ')),
    ...dense(seen.events, run.version),
    ...closed(seen),
    ...differ('what stands outside', labels(world.ofRun(run.id).standing, run.id), [...expected.standing].sort().join(' ')),
    ...ledgerAgrees(effects, world, run.id),
    ...doubles(world, run.id),
  ];
}

export function differ(what: string, is: string, shouldBe: string): string[] {
  return is === shouldBe ? [] : [`${what} is ${is}; it should be ${shouldBe}`];
}

function dense(events: readonly EventRow[], version: number): string[] {
  const gap = events.findIndex((event, index) => event.seq !== index + 1);
  const lost = events.filter((event) => !event.delivered);
  return [
    ...(gap === -1 ? [] : [`the event after ${gap} is missing`]),
    ...(events.at(-1)?.seq === version ? [] : [`the last event is ${events.at(-1)?.seq}, the version ${version}`]),
    ...lost.map((event) => `the event ${event.seq} ${event.type} was not delivered`),
  ];
}

function closed({ run, effects, open }: Seen): string[] {
  return [
    ...open.map((row) => `${row.key.slice(run.id.length + 1)} is still ${row.status}`),
    ...effects.filter((row) => row.worker !== null || row.token !== null).map((row) => `${row.key} is still owned`),
    ...(run.attention ? [`the run needs attention: ${run.attention.code}`] : []),
    ...effects.filter((row) => row.attention).map((row) => `${row.key} needs attention: ${row.attention?.code}`),
  ];
}

/** The ledger says of each effect what the world knows. */
function ledgerAgrees(effects: Seen['effects'], world: FakeWorld, runId: string): string[] {
  const standing = new Set(world.ofRun(runId).standing);
  return effects
    .filter((row) => row.kind === 'do')
    .flatMap((row) => {
      const says = row.outside === 'applied';
      if (row.outside === 'maybe') return [`${row.key.slice(runId.length + 1)} is closed in doubt`];
      return says === standing.has(row.key)
        ? []
        : [
            `the ledger says ${row.outside} of ${row.key.slice(runId.length + 1)}, the world ${standing.has(row.key) ? 'has it' : 'has it not'}`,
          ];
    });
}

function doubles(world: FakeWorld, runId: string): string[] {
  const { applied, undone, halves } = world.ofRun(runId);
  const twice = (map: Map<string, number>, what: string) =>
    [...map].filter(([, n]) => n > 1).map(([key, n]) => `${key.slice(runId.length + 1)} was ${what} ${n} times`);
  return [
    ...twice(applied, 'applied'),
    ...twice(undone, 'taken back'),
    ...halves.map((key) => `${key.slice(runId.length + 1)} is left half applied`),
  ];
}

export function labels(keys: readonly string[], runId: string): string {
  return keys
    .map((key) => key.slice(runId.length + 1))
    .sort()
    .join(' ');
}
