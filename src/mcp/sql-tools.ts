/** SQL for agents: reads answer at once behind a fence; what may change something becomes a run that a person approves. */
import { fenced } from './fence.ts';
import { defineTool, isQuestion, type Question, type Structured, type ToolCall } from './tool.ts';
import * as core from './toolsets/core.ts';
import { waited, withProgress } from './waiting.ts';

export const executeSql = defineTool(core.executeSql, async ({ write, cursor, limit, ...statement }, call) => {
  if (write === true) return writeBySql(statement, call);
  const {
    rows,
    columns,
    cursor: more,
    file,
    ...answer
  } = await withProgress(call, 'Running the statement', () => call.app.readBySql({ ...statement, cursor, limit }, call.signal));
  return {
    ...answer,
    columns: fenced('names of the columns', columns.join('\n')),
    rows: fenced(file === undefined ? 'rows of the query, one JSON object a line' : 'the first rows of the query', rows),
    shown: rows.length,
    ...(more === undefined ? {} : { cursor: more }),
    ...(file === undefined ? {} : { file }),
    next: { who: 'you', say: sayNext(more !== undefined, file?.path) },
  };
});

function sayNext(more: boolean, file: string | undefined): string {
  return [
    ...(file === undefined ? [] : ['All rows that were read stand in the file, one JSON object a line, on the machine that runs Capstan.']),
    more ? 'More rows are there: send the same statement with the cursor, or narrow it.' : 'These are all rows.',
  ].join(' ');
}

type Statement = {
  target: string;
  sql: string;
  parameters?: (string | number | boolean | null)[] | undefined;
  timeoutMs?: number | undefined;
};

/** Starts run-sql, waits for its plan and asks for the approval; a second round of the question begins no second run. */
async function writeBySql({ target, sql, parameters = [], timeoutMs }: Statement, call: ToolCall): Promise<Structured | Question> {
  const { engine } = call.app;
  const answer = await call.approved(async () => {
    const input = { target, sql, parameters, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    const started = await engine.start({ workflow: 'run-sql', input }, call.caller);
    const planned = await waited(started, core.maxWaitMs, call);
    const ready = planned.waitingFor.some(({ event }) => event === 'approve');
    return ready ? engine.advance({ run: started.runId, event: 'approve', payload: {} }, call.caller) : planned;
  });
  return isQuestion(answer) ? answer : waited(answer, undefined, call);
}
