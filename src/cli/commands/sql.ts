import type { SqlValue } from '../../effects/postgres/session.ts';
import { rungs } from '../../effects/postgres/session.ts';
import { usage, valuesOf } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';
import { whole } from '../whole.ts';

export const sql = command(
  'sql',
  'Run one reading SQL statement on an instance, as agents do; changes go by capstan run run-sql',
  {
    target: { type: 'positional', required: true, description: 'name of the target' },
    statement: { type: 'positional', required: true, description: 'exactly one statement' },
    param: { type: 'string', valueHint: 'VALUE', description: 'Value of $1, $2 and so on; may be given more than once' },
    limit: { type: 'string', valueHint: 'N', description: 'Rows at most. Default: 100' },
    cursor: { type: 'string', description: 'From the answer before' },
    timeout: { type: 'string', valueHint: 'MS', description: 'Enforced by the server. Default: 30000' },
    rung: { type: 'string', description: `Only this way: ${rungs.join(', ')}` },
  },
  ({ target, statement, limit, cursor, timeout, rung }, raw) =>
    withApp(async (app) => {
      const wanted = rungs.find((each) => each === rung);
      if (rung !== undefined && wanted === undefined) throw usage('capstan sql', `--rung is one of: ${rungs.join(', ')}.`);
      const parameters: SqlValue[] = valuesOf(raw, 'param');
      const answer = await app.readBySql({
        target,
        sql: statement,
        parameters,
        limit: limit === undefined ? undefined : whole('capstan sql', 'limit', limit, 100_000),
        cursor,
        timeoutMs: timeout === undefined ? undefined : whole('capstan sql', 'timeout', timeout, 600_000),
        rung: wanted,
      });
      const { rows, columns, file, via, warnings, cursor: more } = answer;
      const names = columns.length > 0 ? columns : Object.keys(rows[0] ?? {});
      const text = [
        table(rows, names),
        ...(file === undefined ? [] : [`${file.rows} rows (${file.bytes} bytes) are in ${file.path}`]),
        ...(more === undefined ? [] : [`(more rows: --cursor ${more})`]),
        `(${via.rung} as ${via.role}, Postgres ${via.postgres})`,
        ...warnings.map(({ code, say }) => `${code}: ${say}`),
      ].join('\n');
      return { exit: exitCodes.ok, json: answer, text };
    }),
);
