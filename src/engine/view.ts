import type { ErrorRecord } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { contextOf, type Description, describe } from './describe.ts';
import { restore } from './plan.ts';
import type { ApprovalRow, CheckpointRow, EffectRow, OpenCounts, RunRow } from './ports.ts';
import type { RunStatus } from './run-status.ts';

export type { RunStatus } from './run-status.ts';

export type WaitingFor = { event: string; title: string; payload: unknown; confirm?: string };
export type Working = { effect: string; title: string; since: string; attempt: number; progress?: { say: string; percent?: number } };
export type Next = { who: 'you' | 'human' | 'nobody'; say: string; call?: { tool: string; arguments: Record<string, unknown> } };

/** What a run answers at every door (design §5). */
export type RunView = {
  runId: string;
  /** One for a run, its child runs, their effects and log lines (L3). */
  traceId: string;
  name: string;
  workflow: string;
  state: string;
  title: string;
  /** Which of the workflow's `steps` this state belongs to, counted from 1. */
  step?: number;
  steps?: number;
  status: RunStatus;
  version: number;
  waitingFor: WaitingFor[];
  working: Working[];
  /** Runs that hold what this one waits for (E10). */
  blockedBy?: Blocker[];
  /** The context keys that the workflow allows to be shown. */
  details: Record<string, unknown>;
  output?: unknown;
  error?: Omit<ErrorRecord, 'retry'>;
  warnings: { code: string; say: string }[];
  checkpoints: { to: number; name: string; at: string }[];
  pollAfterMs?: number;
  resource: string;
  next: Next;
};

/** Derived from the ledger, never stored (B6). */
export function statusOf(run: Pick<RunRow, 'phase' | 'held' | 'attention'>, counts: OpenCounts, blocked = false): RunStatus {
  if (run.attention || counts.attentionCount > 0) return 'needs_attention';
  if (run.phase === 'rolling_back') return 'rolling_back';
  if (run.phase !== 'active') return counts.open > 0 ? 'settling' : run.phase;
  if (run.held) return 'held';
  if (counts.open === 0) return 'waiting';
  if (blocked) return 'blocked';
  return counts.open === counts.draining ? 'settling' : 'working';
}

export function countOpen(open: readonly Pick<EffectRow, 'status' | 'attention'>[]): OpenCounts {
  return {
    open: open.length,
    draining: open.filter((row) => row.status === 'cancelling').length,
    attentionCount: open.filter((row) => row.attention).length,
  };
}

export type Blocker = { lock: string; runId: string; name: string };
type Parts = {
  run: RunRow;
  open: EffectRow[];
  checkpoints: CheckpointRow[];
  approvals: ApprovalRow[];
  blockers: Blocker[];
  /** Asked only of a run that ought to move. */
  someoneWorks: () => boolean;
};

/** Statuses in which some process has something to do for the run. */
const moving: ReadonlySet<RunStatus> = new Set(['working', 'settling', 'rolling_back']);
const nobodyWorks = {
  code: 'NO_WORKER',
  say: 'No process of Capstan works on this home now; the run goes on when one does: an MCP server that uses it, or capstan worker.',
};

/** Builds the view; a run of an unknown definition is still shown, without its events (V3). */
export function viewOf(catalog: Catalog, parts: Parts): RunView {
  const { run, open, checkpoints } = parts;
  const shape = shapeOf(catalog, run);
  const status = statusOf(run, countOpen(open), parts.blockers.length > 0);
  const context = shape?.context ?? {};
  const accepts = run.phase === 'active' && shape !== undefined;
  const waitingFor = accepts ? shape.description.events.map((event) => toWaiting(catalog, event)) : [];
  const error = attentionOf(run, open) ?? run.error ?? (run.phase === 'active' ? errorIn(context) : null);
  const deserted = moving.has(status) && !parts.someoneWorks();
  return {
    runId: run.id,
    traceId: run.traceId,
    name: run.name,
    workflow: run.workflow,
    state: run.state,
    title: shape?.description.title ?? '',
    ...(shape?.description.step === undefined ? {} : { step: shape.description.step, steps: shape.steps }),
    status,
    version: run.version,
    waitingFor,
    working: open.map((row) => toWorking(catalog, row)),
    ...(status === 'blocked' ? { blockedBy: parts.blockers } : {}),
    details: pick(context, shape?.show ?? []),
    ...(run.output === null || run.output === undefined ? {} : { output: run.output }),
    ...(error ? { error: withoutRetry(error) } : {}),
    warnings: [...warningsIn(context), ...(deserted ? [nobodyWorks] : [])],
    checkpoints: checkpoints
      .filter((row) => !row.voided)
      .map((row) => ({ to: row.seq, name: row.name, at: new Date(row.at).toISOString() })),
    ...(moving.has(status) ? { pollAfterMs: 1_000 } : {}),
    resource: `capstan://runs/${run.id}`,
    next: deserted ? { who: 'human', say: nobodyWorks.say } : nextOf(parts, status, shape?.description, error),
  };
}

function shapeOf(
  catalog: Catalog,
  run: RunRow,
): { description: Description; context: Record<string, unknown>; show: readonly string[]; steps: number } | undefined {
  const definition = catalog.list().find((candidate) => candidate.name === run.workflow && candidate.hash === run.definitionHash);
  if (!definition) return undefined;
  const snapshot = restore(definition.machine, run.snapshot);
  if (snapshot.status === 'error') return undefined;
  return { description: describe(snapshot), context: contextOf(snapshot), show: definition.show, steps: definition.steps.length };
}

function toWaiting(catalog: Catalog, event: Description['events'][number]): WaitingFor {
  return {
    event: event.type,
    title: event.title,
    payload: catalog.jsonSchema(event.payload),
    ...(event.confirm === undefined ? {} : { confirm: event.confirm }),
  };
}

function toWorking(catalog: Catalog, row: EffectRow): Working {
  const title = catalog.contract(row.contract).title;
  return {
    effect: row.key,
    title: row.kind === 'undo' ? `Take back: ${title}` : title,
    since: new Date(row.startedAt ?? row.createdAt).toISOString(),
    attempt: row.attempt,
    ...(row.progress
      ? { progress: { say: row.progress.say, ...(row.progress.percent === undefined ? {} : { percent: row.progress.percent }) } }
      : {}),
  };
}

/** Whom a run waits for, and what to do when that one waits for a person. A holder without an id is one that the reader may not see. */
export function sayBlocked(blockers: readonly Blocker[]): string {
  const holders = blockers.map(({ lock, runId, name }) => `${runId === '' ? name : `the run ${name}`} holds ${lock.replace(':', ' ')}`);
  const all = [...new Set(holders)];
  const whom = all.length === 0 ? 'another run holds what it needs' : all.join(', ');
  return `It waits: ${whom}. It goes on by itself when that run has ended or lets go; if that one waits for a person, answer or cancel it.`;
}

function nextOf(parts: Parts, status: RunStatus, shape: Description | undefined, error: ErrorRecord | null): Next {
  const { run, approvals } = parts;
  const at = { run: run.id };
  const asked = approvals.find((row) => row.status === 'requested' && row.version === run.version);
  switch (status) {
    case 'needs_attention':
      return { who: 'human', say: error?.fix ?? error?.message ?? 'A person must look at this run.' };
    case 'working':
    case 'settling':
    case 'rolling_back':
      return {
        who: 'nobody',
        say: 'Capstan is working; ask again or wait.',
        call: { tool: 'inspect_run', arguments: { ...at, waitMs: 30_000 } },
      };
    case 'held':
      return { who: 'human', say: 'The run is held; a person releases it.' };
    case 'blocked':
      return {
        who: 'nobody',
        say: sayBlocked(parts.blockers),
        call: { tool: 'inspect_run', arguments: { ...at, waitMs: 30_000 } },
      };
    case 'done':
      return { who: 'nobody', say: 'The run is done; its output says what to do next.' };
    case 'failed':
    case 'cancelled':
      return {
        who: 'you',
        say: 'The run has ended. What it changed can be taken back.',
        call: { tool: 'rollback_run', arguments: { ...at, to: 0, dryRun: true } },
      };
    case 'waiting':
      break;
    default:
      status satisfies never;
  }
  if (asked) return { who: 'human', say: `Ask the person at the terminal to approve this for the run ${run.name}: ${asked.statement}` };
  const events = shape?.events ?? [];
  const offered = shape?.rollback ? ` Rolling back to "${shape.rollback.to}" is offered too (rollback_run).` : '';
  const first = events[0];
  if (!first) return { who: 'human', say: `Nothing is expected here.${offered}` };
  const names = events.map((event) => `${event.type} (${event.title}${event.confirm ? ', needs approval' : ''})`).join(', ');
  return {
    who: 'you',
    say: `Send one event: ${names}.${offered}`,
    call: { tool: 'advance_run', arguments: { ...at, event: first.type, expectedVersion: run.version } },
  };
}

function attentionOf(run: RunRow, open: readonly EffectRow[]): ErrorRecord | null {
  return run.attention ?? open.find((row) => row.attention)?.attention ?? null;
}

function errorIn(context: Record<string, unknown>): ErrorRecord | null {
  const error = context['error'];
  return typeof error === 'object' && error !== null && 'code' in error ? (error as ErrorRecord) : null; // machines keep ErrorRecords there
}

function warningsIn(context: Record<string, unknown>): { code: string; say: string }[] {
  const warnings = context['warnings'];
  return Array.isArray(warnings) ? (warnings as { code: string; say: string }[]) : []; // machines keep this shape by convention
}

function withoutRetry({ retry: _, ...rest }: ErrorRecord): Omit<ErrorRecord, 'retry'> {
  return rest;
}

function pick(context: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => context[key] !== undefined && context[key] !== null).map((key) => [key, context[key]]));
}
