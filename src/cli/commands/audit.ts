import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';
import { whole } from '../whole.ts';

export const audit = command(
  'audit',
  'Show who changed what through which door, newest first',
  {
    run: { type: 'string', description: 'Only this run' },
    limit: { type: 'string', description: 'How many. Default 50' },
    before: { type: 'string', valueHint: 'id', description: 'Page on from this row' },
  },
  ({ run, limit, before }) =>
    withApp(async ({ engine, operations }) => {
      const rows = await operations.audit({
        runId: run === undefined ? undefined : (await engine.inspect(run)).runId,
        limit: limit === undefined ? 50 : whole('capstan audit', 'limit', limit, 1_000),
        before: before === undefined ? undefined : whole('capstan audit', 'before', before),
      });
      const shown = rows.map((row) => ({ ...row, at: new Date(row.at).toISOString() }));
      const lines = shown.map(({ target, run: name, runId, ...row }) => ({ ...row, run: name ?? runId, target: target.join(' ') }));
      const columns = ['id', 'at', 'principal', 'door', 'level', 'action', 'run', 'target', 'outcome'] as const;
      return { exit: exitCodes.ok, json: { audit: shown }, text: table(lines, columns) };
    }),
);
