/** Leads runs of workflows through processes that are killed again and again; the other end of workflow-process.ts. */
import { expect } from 'vitest';
import { countAppliedTwice, type Journal } from '../../src/demo/verdicts.ts';
import type { Children } from './children.ts';
import { deathsIn, type KillPoint } from './kill-points.ts';
import type { WorkflowEnd, WorkflowTask } from './workflow-process.ts';

export type Walk = Omit<WorkflowTask, 'point' | 'effect' | 'marks'>;

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
    /** Dies at the launch and at the answer of every effect and undo on the way, each process going on where the last one died. */
    async throughDeaths(walk: Walk): Promise<WorkflowEnd & { deaths: string[] }> {
      const marks = `${walk.home}.deaths`;
      for (let processes = 0; processes < 100; processes++) {
        const child = start({ ...walk, marks });
        const line = child.line().catch(() => undefined);
        const { code, signal } = await child.ended;
        expect({ code, signal, stderr: child.stderr() }).toEqual(
          signal === null ? { code: 0, signal: null, stderr: '' } : { code: null, signal: 'SIGKILL', stderr: '' },
        );
        const said = await line;
        if (said !== undefined) return { ...(JSON.parse(said) as WorkflowEnd), deaths: deathsIn(marks) }; // printed by workflow-process.ts in this shape
      }
      throw new Error(`${walk.name} never ended`);
    },
    async finish(walk: Walk): Promise<WorkflowEnd> {
      const end = await goOn(walk);
      expect(end.open, 'nothing is open').toBe(0);
      return end;
    },
  };
}
