/**
 * Resources (design §5): runs, their timelines and pictures, workflow definitions, the schema of RunView. Invariants:
 * 1. What is read is what the connection may see: a foreign run is not found.
 * 2. Every text leaves scrubbed and printable, as in a tool's answer.
 */
import { type McpServer, ResourceNotFoundError, ResourceTemplate } from '@modelcontextprotocol/server';
import { AppError, toRecord } from '../errors.ts';
import { type Guard, toResult } from './answer.ts';
import type { DiagramFormat, McpApp } from './app-port.ts';
import { printable } from './printable.ts';
import { runViewJsonSchema } from './run-view-schema.ts';

export type ResourceDeps = { app: () => Promise<McpApp>; guard: Guard };
type Contents = { contents: { uri: string; mimeType: string; text: string }[] };

const json = 'application/json';
const pictures: Record<DiagramFormat, { ending: string; mimeType: string; what: string }> = {
  mermaid: { ending: 'diagram', mimeType: 'text/vnd.mermaid', what: 'state diagram as Mermaid text' },
  svg: { ending: 'diagram.svg', mimeType: 'image/svg+xml', what: 'state diagram as a picture' },
};
const listed = 20;
const offered = 50;

export function registerResources(server: McpServer, deps: ResourceDeps): void {
  const { app } = deps;
  const runs = async () => (await app()).engine.list({ limit: listed });
  const workflows = async () => (await app()).engine.workflows();
  const runNames = async (typed: string) => {
    const found = await (await app()).engine.list({ limit: offered });
    return found.flatMap(({ runId, name }) => [runId, name]).filter((each) => each.startsWith(typed));
  };
  const workflowNames = async (typed: string) => (await workflows()).map(({ name }) => name).filter((name) => name.startsWith(typed));

  server.registerResource(
    'run-view-schema',
    'capstan://schemas/run-view',
    { title: 'Schema of a run', description: 'JSON Schema of what every tool answers about a run', mimeType: json },
    async (uri) => one(uri, json, JSON.stringify(runViewJsonSchema(), null, 2)),
  );

  const runTemplate = (ending: string, list: boolean) =>
    new ResourceTemplate(`capstan://runs/{id}${ending}`, {
      list: list
        ? async () => ({
            resources: (await runs()).map(({ runId, name, workflow, status }) => ({
              uri: `capstan://runs/${runId}`,
              name: shown(deps, name),
              description: shown(deps, `${workflow}, ${status}`),
              mimeType: json,
            })),
          })
        : undefined,
      complete: { id: runNames },
    });
  server.registerResource(
    'run',
    runTemplate('', true),
    { title: 'A run', description: 'Where a run stands, as inspect_run answers it', mimeType: json },
    (uri, { id }) => read(deps, uri, async ({ engine }) => pretty(deps, await engine.inspect(text(id)))),
  );
  server.registerResource(
    'run-timeline',
    runTemplate('/timeline', false),
    { title: 'Timeline of a run', description: 'The latest 200 events of a run, oldest first', mimeType: json },
    (uri, { id }) => read(deps, uri, async ({ engine }) => pretty(deps, { events: await timeline(engine, text(id)) })),
  );
  for (const [format, { ending, mimeType, what }] of Object.entries(pictures) as [DiagramFormat, (typeof pictures)[DiagramFormat]][]) {
    server.registerResource(
      `run-${ending.replace('.', '-')}`,
      runTemplate(`/${ending}`, false),
      { title: `Run: ${what}`, description: `The ${what} of a run, with the current state marked`, mimeType },
      (uri, { id }) => read(deps, uri, async (house) => house.diagram({ run: text(id) }, format), mimeType),
    );
    server.registerResource(
      `workflow-${ending.replace('.', '-')}`,
      new ResourceTemplate(`capstan://workflows/{name}/${ending}`, { list: undefined, complete: { name: workflowNames } }),
      { title: `Workflow: ${what}`, description: `The ${what} of a workflow`, mimeType },
      (uri, { name }) => read(deps, uri, async (house) => house.diagram({ workflow: text(name) }, format), mimeType),
    );
  }
  server.registerResource(
    'workflow',
    new ResourceTemplate('capstan://workflows/{name}', {
      list: async () => ({
        resources: (await workflows()).map(({ name, title }) => ({
          uri: `capstan://workflows/${name}`,
          name,
          description: title,
          mimeType: json,
        })),
      }),
      complete: { name: workflowNames },
    }),
    { title: 'A workflow', description: 'What a workflow does, its steps and its input as JSON Schema', mimeType: json },
    (uri, { name }) => read(deps, uri, async (house) => JSON.stringify(house.describeWorkflow(text(name)), null, 2)),
  );
}

async function timeline(engine: McpApp['engine'], run: string) {
  const { version } = await engine.inspect(run);
  const rows = await engine.timeline(run, { after: Math.max(0, version - 200), limit: 200 });
  return rows.map(({ runId: _, at, ...row }) => ({ ...row, at: new Date(at).toISOString() }));
}

/** A template's variable: one value, decoded. */
function text(value: string | string[] | undefined): string {
  return decodeURIComponent((Array.isArray(value) ? value[0] : value) ?? '');
}

function pretty({ guard }: ResourceDeps, value: Record<string, unknown>): string {
  return JSON.stringify(toResult(value, guard).structuredContent, null, 2);
}

function shown({ guard }: ResourceDeps, value: string): string {
  return printable(guard.scrub(value));
}

async function read(deps: ResourceDeps, uri: URL, get: (app: McpApp) => Promise<string>, mimeType = json): Promise<Contents> {
  try {
    return one(uri, mimeType, await get(await deps.app()));
  } catch (error) {
    if (!(error instanceof AppError)) deps.guard.logError(uri.pathname.slice(0, 20), error);
    const { code, message, fix } =
      error instanceof AppError ? toRecord(error) : { code: 'INTERNAL', message: 'Something failed inside Capstan.', fix: undefined };
    throw new ResourceNotFoundError(uri.href, shown(deps, `${code}: ${message}${fix === undefined ? '' : ` ${fix}`}`));
  }
}

function one(uri: URL, mimeType: string, content: string): Contents {
  return { contents: [{ uri: uri.href, mimeType, text: content }] };
}

/** Completions for a prompt's arguments; `event` of the run that was named before it. */
export function completionsOf({ app }: ResourceDeps) {
  const starting = (names: string[], typed: string) => [...new Set(names)].filter((name) => name.startsWith(typed)).slice(0, 100);
  return {
    run: async (typed: string) =>
      starting(
        (await (await app()).engine.list({ limit: offered })).map(({ name }) => name),
        typed,
      ),
    workflow: async (typed: string) =>
      starting(
        (await app()).engine.workflows().map(({ name }) => name),
        typed,
      ),
    target: async (typed: string) =>
      starting(
        (await (await app()).targets()).map(({ name }) => name),
        typed,
      ),
    dokploy: async (typed: string) =>
      starting(
        (await (await app()).dokploys()).map(({ name }) => name),
        typed,
      ),
    async event(typed: string, run: string | undefined) {
      if (run === undefined) return [];
      const view = await (await app()).engine.inspect(run).catch(() => undefined); // a run that is not there has no events
      return starting(
        (view?.waitingFor ?? []).map(({ event }) => event),
        typed,
      );
    },
  };
}
