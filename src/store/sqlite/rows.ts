import { sql } from 'drizzle-orm';
import type { EffectRow } from '../../engine/ports.ts';
import { effects } from './schema.ts';

/** All of an effect row but the encrypted before-image, which is read only when needed. */
export const effectColumns = {
  key: effects.key,
  runId: effects.runId,
  traceId: sql<string>`(select r.trace_id from runs r where r.id = run_id)`,
  kind: effects.kind,
  undoOf: effects.undoOf,
  entrySeq: effects.entrySeq,
  invokeId: effects.invokeId,
  contract: effects.contract,
  input: effects.input,
  output: effects.output,
  error: effects.error,
  status: effects.status,
  outside: effects.outside,
  failing: effects.failing,
  attention: effects.attention,
  hasBefore: sql<number>`before is not null`,
  attempt: effects.attempt,
  probes: effects.probes,
  worker: effects.worker,
  token: effects.token,
  lastSignAt: effects.lastSignAt,
  notBefore: effects.notBefore,
  progress: effects.progress,
  createdAt: effects.createdAt,
  startedAt: effects.startedAt,
  settledAt: effects.settledAt,
  settledSeq: effects.settledSeq,
};

export function toEffect(row: Omit<EffectRow, 'hasBefore'> & { hasBefore: number }): EffectRow {
  return { ...row, hasBefore: row.hasBefore === 1 };
}

/** Statuses of an effect that does not rest (engine.md words). */
export const openStatuses = ['intent', 'running', 'cancelling'] as const;
