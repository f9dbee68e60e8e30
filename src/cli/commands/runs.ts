import { defineCommand } from 'citty';
import { runStatuses } from '../../engine/run-status.ts';
import { principal, withApproval } from '../approve-here.ts';
import { usage, valuesOf } from '../arguments.ts';
import { command, withApp, withWorkingApp } from '../command.ts';
import { diagramFlag, drawn } from '../diagram.ts';
import { exitCodes, exitOf } from '../exit-codes.ts';
import { followed } from '../follow.ts';
import { nearest } from '../nearest.ts';
import { planText, runText, table, undoText } from '../render.ts';
import { coerced, readJson, splitSetting } from '../script.ts';
import { isTerminal } from '../terminal.ts';
import { whole } from '../whole.ts';
import { share } from './share.ts';
import { watch } from './watch.ts';

const resolutions = ['applied', 'absent', 'undone', 'retry', 'give_up', 'retry_rollback', 'abandon_rollback'] as const;

const run = { type: 'positional', required: true, description: 'id or name of the run' } as const;
const wait = { type: 'boolean', description: 'Carry the work out here and wait until the run rests' } as const;
const key = { type: 'string', description: 'Request key: the same key and request are done once' } as const;
const expect = { type: 'string', valueHint: 'version', description: 'Refuse if the run has moved past this version' } as const;
const caller = () => ({ principal: principal(), door: 'cli' });

const list = command(
  'list',
  'List runs, newest first',
  {
    status: { type: 'string', description: `One of: ${runStatuses.join(', ')}` },
    workflow: { type: 'string', description: 'Only runs of this workflow' },
    limit: { type: 'string', description: 'How many. Default 20' },
    before: { type: 'string', valueHint: 'run', description: 'Page on from this run id' },
  },
  ({ status, workflow, limit, before }) =>
    withApp(async ({ engine }) => {
      const filter = { status: status === undefined ? undefined : oneOf('list', 'status', status, runStatuses), workflow, before };
      const runs = await engine.list({ ...filter, limit: limit === undefined ? 20 : whole('capstan runs list', 'limit', limit, 1_000) });
      return { exit: exitCodes.ok, json: { runs }, text: table(runs, ['runId', 'name', 'workflow', 'state', 'status', 'updatedAt']) };
    }),
);

const show = command(
  'show',
  'Show where a run stands',
  {
    run,
    plan: { type: 'boolean', description: 'Show the masked plan too' },
    effects: { type: 'boolean', description: 'Show its effects instead' },
    timeline: { type: 'boolean', description: 'Show its events instead' },
    diagram: diagramFlag,
  },
  ({ run: of, plan, effects, timeline, diagram }) =>
    withApp(async (app) => {
      if (diagram !== undefined) return drawn(diagram, 'capstan runs show', (format) => app.diagram({ run: of }, format));
      const view = await app.engine.inspect(of);
      if (effects) {
        const rows = await app.effects(of);
        return {
          exit: exitCodes.ok,
          json: { ...view, effects: rows },
          text: table(rows, ['title', 'status', 'outside', 'attempt', 'effect']),
        };
      }
      if (timeline) {
        const events = (await app.engine.timeline(of, { after: 0, limit: 10_000 })).map((event) => ({
          ...event,
          at: new Date(event.at).toISOString(),
        }));
        return { exit: exitCodes.ok, json: { ...view, events }, text: table(events, ['seq', 'at', 'type', 'state', 'source']) };
      }
      return {
        exit: exitCodes.ok,
        json: view,
        text: [runText(view), ...(plan ? [planText(view.details) || '  (no plan yet)'] : [])].join('\n'),
      };
    }),
);

const advance = command(
  'advance',
  'Send an event to a run',
  {
    run,
    event: { type: 'positional', required: true, description: 'one of the events it waits for' },
    set: { type: 'string', valueHint: 'field=value', description: 'A field of the payload; may be given more than once' },
    payload: { type: 'string', valueHint: 'FILE.json', description: 'The payload as a JSON file; --set wins' },
    expect,
    key,
    wait,
  },
  ({ run: of, event, payload, expect: version, key: requestKey, wait: waits }, raw) =>
    withWorkingApp(waits === true, async (app, signal) => {
      const { engine } = app;
      const now = await engine.inspect(of);
      const schema = now.waitingFor.find((each) => each.event === event)?.payload;
      const set = Object.fromEntries(valuesOf(raw, 'set').map((setting) => splitSetting('capstan runs advance', setting)));
      const fields = { ...(payload === undefined ? {} : objectIn(payload)), ...coerced(set, schema) };
      const request = {
        run: of,
        event,
        payload: fields,
        requestKey,
        expectedVersion: version === undefined ? undefined : whole('capstan runs advance', 'expect', version),
      };
      const answer = await withApproval(app, isTerminal(), () => engine.advance(request, caller()));
      const view = await followed(engine, answer, waits === true, signal);
      return { exit: exitOf(view), json: view, text: runText(view) };
    }),
);

const rollback = command(
  'rollback',
  'Take a run back to an earlier checkpoint, and the outside with it',
  {
    run,
    to: { type: 'string', required: true, description: 'Number or name of a checkpoint; 0 is the start' },
    'dry-run': { type: 'boolean', description: 'Only show what would be taken back' },
    expect,
    key,
    wait,
  },
  ({ run: of, to, 'dry-run': dryRun, expect: version, key: requestKey, wait: waits }) =>
    withWorkingApp(waits === true && dryRun !== true, async (app, signal) => {
      const { engine } = app;
      const checkpoint = /^\d+$/.test(to) ? Number(to) : to;
      if (dryRun) {
        const preview = await engine.previewRollback(of, checkpoint);
        const refusals = preview.refusals.map(({ code, message }) => `  ${code}: ${message}`);
        const text = [`Back to ${preview.to} (${preview.name}):`, undoText(preview.undo), ...refusals].join('\n');
        return { exit: preview.refusals.length > 0 ? exitCodes.failed : exitCodes.ok, json: preview, text };
      }
      const request = {
        run: of,
        to: checkpoint,
        requestKey,
        expectedVersion: version === undefined ? undefined : whole('capstan runs rollback', 'expect', version),
      };
      const answer = await withApproval(app, isTerminal(), () => engine.rollback(request, caller()));
      const view = await followed(engine, answer, waits === true, signal);
      return { exit: exitOf(view), json: view, text: runText(view) };
    }),
);

const cancel = command(
  'cancel',
  'End a run; what it changed outside stays, except a half backup, which is removed',
  { run, key },
  ({ run: of, key: requestKey }) =>
    withWorkingApp(false, async (app) => {
      const view = await withApproval(app, isTerminal(), () => app.engine.cancel({ run: of, requestKey }, caller()));
      return { exit: exitCodes.ok, json: view, text: runText(view) };
    }),
);

const resolve = command(
  'resolve',
  "Say a person's word on a run that needs attention",
  {
    run,
    as: { type: 'string', required: true, description: `One of: ${resolutions.join(', ')}` },
    effect: { type: 'string', description: 'Key of the effect, where more than one asks' },
    output: { type: 'string', valueHint: 'FILE.json', description: 'With --as applied: what the effect would have answered' },
    note: { type: 'string', description: 'Why, for the audit' },
    wait,
  },
  ({ run: of, as, effect, output, note, wait: waits }) =>
    withWorkingApp(waits === true, async ({ engine }, signal) => {
      const word = oneOf('resolve', 'as', as, resolutions);
      const answer = await engine.resolve(
        { run: of, as: word, effect, note, ...(output === undefined ? {} : { output: readJson(output) }) },
        caller(),
      );
      const view = await followed(engine, answer, waits === true, signal);
      return { exit: exitOf(view), json: view, text: runText(view) };
    }),
);

export const runs = defineCommand({
  meta: { name: 'runs', description: 'Look at runs and move them' },
  subCommands: { list, show, watch, advance, rollback, cancel, resolve, share },
});

function oneOf<T extends string>(name: string, flag: string, value: string, known: readonly T[]): T {
  const found = known.find((each) => each === value);
  if (found !== undefined) return found;
  throw usage(`capstan runs ${name}`, `--${flag} is one of: ${known.join(', ')}.`, nearest(value, known));
}

function objectIn(path: string): Record<string, unknown> {
  const value = readJson(path);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw usage('capstan runs advance', `The file ${path} does not hold a JSON object.`);
}
