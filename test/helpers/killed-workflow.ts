/** Leads runs of workflows through processes that are killed again and again; the other end of workflow-process.ts. */
import { expect } from 'vitest';
import { countAppliedTwice, type Journal } from '../../src/demo/verdicts.ts';
import type { Children } from './children.ts';
import type { KillPoint } from './kill-points.ts';
import type { WorkflowEnd, WorkflowTask } from './workflow-process.ts';

export type Walk = Omit<WorkflowTask, 'point' | 'effect'>;

export function createKiller(children: Children, journal: () => Promise<Journal>, env: Record<string, string> = {}) {
  const start = (task: WorkflowTask) =>
    children.start('workflow-process', [], { env: { CAPSTAN_TEST_TASK: JSON.stringify(task), ...env } });

  const goOn = async (walk: Walk): Promise<WorkflowEnd> => {
    const child = start(walk);
    const end: WorkflowEnd = JSON.parse(await child.line()); // printed by workflow-process.ts in this shape
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(end.seqs, 'events are dense').toEqual(end.seqs.map((_, index) => index + 1));
    return end;
  };

  return {
    goOn,
    /** Dies at each effect in turn, each process going on where the last one died; nothing is applied twice on the way. */
    async killAtEach(walk: Walk, point: KillPoint, effects: readonly string[]): Promise<void> {
      for (const effect of effects) {
        const child = start({ ...walk, point, effect });
        const { signal } = await child.ended;
        expect({ effect, signal, stderr: child.stderr() }).toEqual({ effect, signal: 'SIGKILL', stderr: '' });
        expect(countAppliedTwice(await journal()), `after ${point} of ${effect}`).toBe(0);
      }
    },
    async finish(walk: Walk): Promise<WorkflowEnd> {
      const end = await goOn(walk);
      expect(end.open, 'nothing is open').toBe(0);
      return end;
    },
  };
}
