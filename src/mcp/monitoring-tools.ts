/** The tools that watch a database: our own sentences apart, everything with a name or a text from it behind a fence. */
import type { Advice } from '../catalog/advisors/advise.ts';
import { fenced } from './fence.ts';
import { defineTool } from './tool.ts';
import * as monitoring from './toolsets/monitoring.ts';

const partBytes = 12_000;

export const monitorConnections = defineTool(monitoring.monitorConnections, async ({ target }, call) => {
  const { holders, ...report } = await call.app.database.connections(target, call.signal);
  const [advice] = report.recommendations;
  return {
    ...report,
    holders: fenced('roles and programs that hold connections', holders, { maxBytes: partBytes }),
    next:
      advice === undefined
        ? { who: 'nobody' as const, say: 'There is room; nothing has to be done.' }
        : { who: 'human' as const, say: `Tell the person: ${report.say} ${advice.say}` },
  };
});

export const databaseStats = defineTool(monitoring.databaseStats, async ({ target }, call) => {
  const { tables, statements, locks, longest, slots, replicas, ...report } = await call.app.database.statistics(target, call.signal);
  const part = (what: string, rows: readonly unknown[]) => fenced(what, rows, { maxBytes: partBytes });
  return {
    ...report,
    tables: part('largest tables', tables),
    ...(statements.length === 0 ? {} : { statements: part('statements that took the most time', statements) }),
    ...(locks.length === 0 ? {} : { locks: part('sessions that wait for a lock', locks) }),
    ...(longest.length === 0 ? {} : { longTransactions: part('transactions open for more than a minute', longest) }),
    ...(slots.length === 0 ? {} : { slots: part('replication slots', slots) }),
    ...(replicas.length === 0 ? {} : { replicas: part('replicas', replicas) }),
    next: {
      who: report.findings.length === 0 ? ('nobody' as const) : ('human' as const),
      say: report.findings.length === 0 ? 'Nothing stands out.' : 'Tell the person of the findings; change nothing without their word.',
    },
  };
});

export const advisors = defineTool(monitoring.advisors, async ({ target, category }, call) => {
  const { advice, ...rest } = await call.app.database.advisors(target, category, call.signal);
  const worst = advice.filter(({ level }) => level === 'ERROR').length;
  return {
    ...rest,
    advice: advice.map(({ hits: _, ...each }) => each),
    objects: fenced('objects, by lint, worst first', linesOf(advice)),
    next: {
      who: advice.length === 0 ? ('nobody' as const) : ('human' as const),
      say:
        advice.length === 0
          ? 'No lint found anything.'
          : `Tell the person what was found${worst > 0 ? `, the ${worst} errors first` : ''}, each with its fix; carry out none without their word.`,
    },
  };
});

/** A lint with thousands of hits must not crowd out the others. */
const maxHits = 100;

function linesOf(advice: readonly Advice[]): Record<string, unknown>[] {
  return advice.flatMap(({ lint, hits }) => [
    ...hits.slice(0, maxHits).map((hit) => ({ lint, ...hit })),
    ...(hits.length > maxHits ? [{ lint, more: hits.length - maxHits }] : []),
  ]);
}
