/**
 * The house as one connection sees it. Invariants:
 * 1. A run that is not the connection's does not exist for it: RUN_UNKNOWN, whatever was asked, and no list names it.
 * 2. What is passed on to the engine is a whole run id that was judged, never the reference that came in.
 */
import type { Engine, RunListing } from '../engine/engine.ts';
import { type RunView, sayBlocked } from '../engine/view.ts';
import { AppError } from '../errors.ts';
import type { McpApp } from './app-port.ts';
import { type Connection, sees, seesAll } from './connection.ts';

/** The same house for a connection that sees all of it, else one that shows its part. */
export function scoped(app: McpApp, connection: Connection): McpApp {
  if (seesAll(connection)) return app;
  const { targets } = connection;
  const meant = (reference: string) => visibleRun(app, connection, reference);
  return {
    ...app,
    engine: scopedEngine(app, connection, meant),
    effects: async (run) => app.effects(await meant(run)),
    diagram: async (of, format) => app.diagram('run' in of ? { run: await meant(of.run) } : of, format),
    targets: async () => (await app.targets()).filter(({ name }) => targets === undefined || targets.includes(name)),
    // Which Dokploys there are is no part of a limit to some targets.
    dokploys: async () => (targets === undefined ? app.dokploys() : []),
    listBackups: async (target) => (await app.listBackups(target)).filter((row) => targets === undefined || targets.includes(row.target)),
    verifyBackup: async (id, signal, progress) => {
      await requireBackup(app, connection, id);
      return app.verifyBackup(id, signal, progress);
    },
    discover: async (dokploys, signal) => {
      if (targets !== undefined)
        throw new AppError('TARGET_OUT_OF_REACH', {
          message: `This connection has the targets ${targets.join(', ')} only, and a search shows every instance.`,
          fix: 'Ask the person who runs Capstan for a connection without that limit.',
        });
      return app.discover(dokploys, signal);
    },
  };
}

function scopedEngine(app: McpApp, connection: Connection, meant: (reference: string) => Promise<string>): Engine {
  const { engine } = app;
  const shown = async <T extends RunView>(view: Promise<T>): Promise<T> => withoutStrangers(app, connection, await view);
  return {
    ...engine,
    start: async (request, caller) => {
      const { targets } = connection;
      const about = targets && (await app.mentioned(request.input ?? {}, targets));
      if (targets && about?.length === 0)
        throw new AppError('TARGET_OUT_OF_REACH', {
          message: 'This connection starts runs on its own targets only, and the input names none of them.',
          fix: `It has: ${targets.join(', ')}.`,
        });
      const backup: unknown =
        typeof request.input === 'object' && request.input !== null ? Reflect.get(request.input, 'backup') : undefined;
      if (targets && typeof backup === 'string') await requireBackup(app, connection, backup);
      return shown(engine.start(request, caller));
    },
    advance: async (request, caller) => shown(engine.advance({ ...request, run: await meant(request.run) }, caller)),
    inspect: async (run) => shown(engine.inspect(await meant(run))),
    waitFor: async (run, options) => shown(engine.waitFor(await meant(run), options)),
    timeline: async (run, options) => engine.timeline(await meant(run), options),
    previewRollback: async (run, to) => engine.previewRollback(await meant(run), to),
    rollback: async (request, caller) => shown(engine.rollback({ ...request, run: await meant(request.run) }, caller)),
    cancel: async (request, caller) => shown(engine.cancel({ ...request, run: await meant(request.run) }, caller)),
    hold: async (run, caller) => shown(engine.hold(await meant(run), caller)),
    release: async (run, caller) => shown(engine.release(await meant(run), caller)),
    resolve: async (request, caller) => shown(engine.resolve({ ...request, run: await meant(request.run) }, caller)),
    pendingApprovals: async (run) => engine.pendingApprovals(await meant(run)),
    list: (filter) => visibleRuns(app, connection, filter),
  };
}

/** A backup holds the data of its target, wherever it is restored. Throws BACKUP_UNKNOWN. */
async function requireBackup(app: McpApp, { targets }: Connection, id: string): Promise<void> {
  const row = (await app.listBackups()).find((each) => each.id === id);
  if (targets === undefined || (row !== undefined && targets.includes(row.target))) return;
  throw new AppError('BACKUP_UNKNOWN', {
    message: `There is no backup ${JSON.stringify(id.slice(0, 80))} in the index.`,
    fix: 'The tool list_backups (serve --toolsets backups) tells their ids.',
  });
}

/** Throws RUN_UNKNOWN, or RUN_AMBIGUOUS with the visible ones only. */
async function visibleRun(app: McpApp, connection: Connection, reference: string): Promise<string> {
  const visible = (await app.runFacts(reference, connection.targets)).filter((run) => sees(connection, run));
  const [only] = visible;
  if (only !== undefined && visible.length === 1) return only.runId;
  const said = JSON.stringify(reference.slice(0, 60));
  if (visible.length > 1)
    throw new AppError('RUN_AMBIGUOUS', {
      message: `More than one run is meant by ${said}.`,
      fix: `Give more of the id: ${visible
        .slice(0, 5)
        .map((run) => run.runId)
        .join(', ')}.`,
    });
  throw new AppError('RUN_UNKNOWN', { message: `There is no run ${said}.`, fix: 'List the runs to see their ids and names.' });
}

const pageSize = 100;

/** Pages on until there are as many visible ones as were asked for. */
async function visibleRuns(app: McpApp, connection: Connection, filter: Parameters<Engine['list']>[0]): Promise<RunListing[]> {
  const found: RunListing[] = [];
  let before = filter.before;
  for (;;) {
    const page = await app.engine.list({ ...filter, before, limit: pageSize });
    const ids = page.map((row) => row.runId);
    const visible = new Set((await app.runFacts(ids, connection.targets)).filter((run) => sees(connection, run)).map((run) => run.runId));
    for (const row of page) {
      if (visible.has(row.runId)) found.push(row);
      if (found.length === filter.limit) return found;
    }
    before = ids.at(-1);
    if (page.length < pageSize) return found;
  }
}

/** A run may wait for one that the connection does not see: it is told that it waits, not for whom. */
async function withoutStrangers<T extends RunView>(app: McpApp, connection: Connection, view: T): Promise<T> {
  if (view.blockedBy === undefined) return view;
  const facts = await app.runFacts(
    view.blockedBy.map((each) => each.runId),
    connection.targets,
  );
  const visible = new Set(facts.filter((run) => sees(connection, run)).map((run) => run.runId));
  const blockedBy = view.blockedBy.map((each) => (visible.has(each.runId) ? each : { ...each, runId: '', name: 'another run' }));
  return { ...view, blockedBy, next: { ...view.next, say: sayBlocked(blockedBy) } };
}
