/** The tools that only look: workflows, one run from several sides, targets. */
import type { Diagnosis } from '../doctor/diagnose.ts';
import type { RunView } from '../engine/view.ts';
import { sizeOf } from './answer.ts';
import { fenced } from './fence.ts';
import { pageOf } from './pages.ts';
import { defineTool, type Structured, type ToolCall } from './tool.ts';
import * as core from './toolsets/core.ts';
import { waited } from './waiting.ts';

const payloadBytes = 4_000;

export const listWorkflows = defineTool(core.listWorkflows, async ({ name }, call) => {
  if (name !== undefined) return call.app.describeWorkflow(name);
  return { workflows: call.app.engine.workflows().map(({ name: each, title }) => ({ name: each, title })) };
});

export const inspectRun = defineTool(core.inspectRun, async ({ run, view = 'summary', waitMs, since }, call) => {
  const now = await call.app.engine.inspect(run);
  switch (view) {
    case 'summary':
      return waited(now, waitMs, call, since);
    case 'timeline':
      return timeline(now, since ?? 0, call);
    case 'plan':
      return plan(now);
    case 'effects':
      return effectsFrom(now, since ?? 0, call);
    default:
      return view satisfies never;
  }
});

export const listTargets = defineTool(core.listTargets, async ({ discover, cursor }, call) => {
  const known = { targets: await call.app.targets(), dokploys: await call.app.dokploys() };
  if (discover !== true) return known;
  call.progress('Searching the Dokploys for Supabase instances');
  const { found, looked, unknown, summary } = await call.app.discover(
    known.dokploys.map(({ name }) => name),
    call.signal,
  );
  const { rows: page, ...rest } = pageOf(found, { idOf: ({ dokploy, name }) => `${dokploy} ${name}`, cursor });
  const rows = page.map(({ outside: _, url: __, ...ours }) => ours);
  const names = page.map(({ name, outside, url }) => ({ name, ...outside, url }));
  return {
    ...known,
    summary,
    looked,
    found: rows,
    ...rest,
    called: fenced('what the found instances are called over there', names),
    unknown,
    next: afterDiscovery(found),
  };
});

/** Registering is a person's decision: an agent only says what was found. */
function afterDiscovery(found: readonly { name: string; registered: boolean; dokploy: string }[]): RunView['next'] {
  const strangers = found.filter(({ registered }) => !registered);
  const [first] = strangers;
  if (!first) return { who: 'you', say: 'Every found instance is a target already: diagnose_target says what is wrong with one.' };
  return {
    who: 'human',
    say: `${strangers.length} found ${strangers.length === 1 ? 'instance is' : 'instances are'} no target yet. The person registers them at a terminal: capstan dokploy scan ${first.dokploy}.`,
  };
}

export const diagnoseTarget = defineTool(core.diagnoseTarget, async ({ target, cursor }, call) => {
  call.progress('Reading the settings and running the live checks');
  const { findings, generation, counts, summary, notLookedAt, target: name } = await call.app.diagnose(target, call.signal);
  const { rows, ...rest } = pageOf(findings, { idOf: ({ code, at }) => `${code} ${at}`, cursor });
  return { target: name, summary, counts, generation, notLookedAt, next: afterDiagnosis(name, counts), findings: rows, ...rest };
});

/** Every change of a running instance is a person's decision; the first finding is the worst. */
function afterDiagnosis(target: string, { critical, error, warning }: Diagnosis['counts']): RunView['next'] {
  if (critical + error === 0)
    return {
      who: 'nobody',
      say: warning === 0 ? `Nothing is wrong with ${target}.` : `Nothing keeps ${target} from working; tell the person of the warnings.`,
    };
  return {
    who: 'human',
    say: `Tell the person what is wrong with ${target}, worst first, each with its fix; where the fix is a workflow, start it with their word (start_workflow).`,
  };
}

async function effectsFrom(view: RunView, skip: number, call: ToolCall): Promise<Structured> {
  const { rows: effects, leftOff } = pageOf((await call.app.effects(view.runId)).slice(skip), { idOf: ({ effect }) => effect });
  return { ...whereItStands(view), effects, ...(leftOff === undefined ? {} : { leftOff, nextSince: skip + effects.length }) };
}

async function timeline(view: RunView, after: number, call: ToolCall): Promise<Structured> {
  const rows = await call.app.engine.timeline(view.runId, { after, limit: 200 });
  const events = rows.map(({ runId: _, at, payload, ...row }) => ({ ...row, at: new Date(at).toISOString(), payload: short(payload) }));
  const page = pageOf(events, { idOf: ({ seq }) => String(seq) }).rows;
  const last = page.at(-1);
  const more = last !== undefined && (page.length < rows.length || rows.length === 200);
  return { ...whereItStands(view), events: page, ...(more ? { nextSince: last.seq } : {}) };
}

function plan(view: RunView): Structured {
  const found = view.details['plan'];
  const say =
    found === undefined
      ? 'There is no plan yet: a workflow makes it after its questions are answered.'
      : 'What an approval here would allow, secrets masked.';
  return { ...whereItStands(view), plan: found ?? null, say, asksFor: view.waitingFor.filter((event) => event.confirm !== undefined) };
}

function whereItStands({ runId, name, workflow, state, status, version, next }: RunView): Structured {
  return { runId, name, workflow, state, status, version, next };
}

function short(payload: unknown): unknown {
  const bytes = sizeOf(payload);
  return bytes <= payloadBytes ? payload : { omitted: `${bytes} bytes` };
}
