/**
 * One step, everything or nothing (engine.md C1): version, close (fenced), operations, event, snapshot.
 * Runs inside BEGIN IMMEDIATE; a conflict throws out of the transaction and becomes the answer.
 */
import { and, eq, gt, inArray, isNull, sql } from 'drizzle-orm';
import type { Change, Closing, Committed, Conflict, EffectRow, LocalWrites, NewEffect, RunRow, StagedBackup } from '../../engine/ports.ts';
import type { Db } from './database.ts';
import { treeIds } from './family.ts';
import { takeLocks } from './locks.ts';
import type { Queries } from './queries.ts';
import { openStatuses, toEffect } from './rows.ts';
import { approvals, artifacts, backupKeys, backups, checkpoints, effects, requests, runs, secrets, targets, timers } from './schema.ts';
import { jsonText } from './statement.ts';

class ConflictError extends Error {
  readonly conflict: Conflict;
  readonly runId: string;
  constructor(conflict: Conflict, runId: string) {
    super(conflict);
    this.conflict = conflict;
    this.runId = runId;
  }
}

/** Turns a conflict thrown by `applyChange` into the answer; other errors pass. */
export function toConflict(error: unknown): Committed {
  if (error instanceof ConflictError) return { ok: false, conflict: error.conflict, runId: error.runId };
  throw error;
}

export function applyChange(db: Db, q: Queries, change: Change): Committed {
  const { runId, at } = change;
  const { version, held, phase } = change.expect === 'new' ? insertRun(db, change) : expectVersion(q, change);
  const seq = change.event ? (change.expect === 'new' ? 1 : version + 1) : version;
  if (change.request) keepRequest(db, change, seq);
  if (change.consume) consume(db, change.consume.approvalId, runId, seq);
  if (change.close) close(db, q, change.close, runId, at, seq);
  if (change.undone?.length)
    db.update(effects).set({ status: 'undone', outside: 'undone' }).where(inArray(effects.key, change.undone)).run();
  if (change.stop?.length && openCount(q, runId) > 0) stop(db, runId, change.stop, at);
  if (change.dropUndo)
    db.update(effects)
      .set({ status: 'cancelled', worker: null, token: null, attention: null, settledAt: at })
      .where(and(eq(effects.runId, runId), eq(effects.kind, 'undo'), inArray(effects.status, openStatuses)))
      .run();
  const claimed = openAll(db, q, change.open ?? [], { runId, held, at });
  changeTimers(db, q, change, seq);
  if (change.event) addEvent(q, change.event, runId, seq, at, change.run?.state ?? q.state.get({ runId })?.state ?? '');
  if (change.run || change.event) updateRun(db, q, change, seq);
  if (change.writes) keepWrites(db, change.writes, runId, seq, at);
  if (change.voidAfter !== undefined) voidAfter(db, runId, change.voidAfter, at);
  const openLeft = openCount(q, runId);
  if (change.checkpoint && openLeft === 0) keepCheckpoint(db, q, change.checkpoint, runId, seq, at);
  for (const other of change.also ?? []) applyChange(db, q, other);
  const freed = change.releases && openLeft === 0 ? q.freeLocks.run({ runId }).changes : 0;
  const rollsBack = (change.run?.phase ?? phase) === 'rolling_back'; // its next step is due when nothing is open
  const leavesWork = openLeft > claimed.length || freed > 0 || change.arm?.length || change.also || rollsBack;
  return { ok: true, version: seq, claimed, audience: leavesWork ? 'workers' : claimed.length > 0 ? 'here' : 'watchers' };
}

/** Hold stops claiming at once (B5); what another run excludes waits as a clean intent (E10). */
function openAll(db: Db, q: Queries, rows: NewEffect[], run: { runId: string; held: boolean; at: number }): EffectRow[] {
  const { runId, held, at } = run;
  for (const row of rows) open(q, row, runId, at);
  const wanted = rows.filter((row) => row.claim);
  if (wanted.length === 0 || held) return [];
  // Only what waits together with these could name a lock when they name none.
  const lockless = rows.every((row) => !row.locks?.length) && openCount(q, runId) === rows.length;
  if (!lockless && !takeLocks(db, q, runId, at)) return [];
  return wanted.map(({ key, claim }) => toEffect(q.claim.one({ key, ...claim, now: at }))).filter((row) => row.status === 'running');
}

function openCount(q: Queries, runId: string): number {
  return q.openCount.get({ runId })?.n ?? 0;
}

type Standing = Pick<RunRow, 'version' | 'held' | 'phase'>;

function insertRun(db: Db, change: Change): Standing {
  const { create, run, runId, at } = change;
  if (!create) throw new TypeError('a new run without create');
  db.insert(runs)
    .values({
      ...create,
      id: runId,
      phase: run?.phase ?? 'active',
      version: 1,
      state: run?.state ?? '',
      snapshot: run?.snapshot ?? null,
      createdAt: at,
      updatedAt: at,
    })
    .run();
  return { version: 1, held: false, phase: run?.phase ?? 'active' };
}

function addEvent(q: Queries, event: NonNullable<Change['event']>, runId: string, seq: number, at: number, state: string): void {
  const { type, source, principal, effectKey, delivered } = event;
  q.addEvent.run({
    runId,
    seq,
    type,
    source,
    principal,
    effectKey,
    state,
    payload: jsonText(event.payload),
    delivered: delivered ? 1 : 0,
    now: at,
  });
}

/** A plain step is the hot path; whatever else changes is written as it comes. */
function updateRun(db: Db, q: Queries, change: Change, seq: number): void {
  const { runId, at, run = {} } = change;
  const { phase, state, snapshot, attention, ...rest } = run;
  if (phase !== undefined && state !== undefined && snapshot !== undefined && attention === null && Object.keys(rest).length === 0) {
    q.step.run({ runId, phase, state, snapshot: jsonText(snapshot), seq, now: at });
    return;
  }
  db.update(runs)
    .set({ ...run, version: seq, updatedAt: at })
    .where(eq(runs.id, runId))
    .run();
}

function expectVersion(q: Queries, change: Change): Standing {
  const found = q.version.get({ runId: change.runId });
  if (!found || found.version !== change.expect) throw new ConflictError('version', change.runId);
  return found;
}

function keepRequest(db: Db, change: Change, seq: number): void {
  const request = change.request;
  if (!request) return;
  const done = db
    .insert(requests)
    .values({ ...request, runId: change.runId, seq, at: change.at })
    .onConflictDoNothing()
    .run();
  if (done.changes === 0) throw new ConflictError('request', change.runId);
}

function consume(db: Db, id: string, runId: string, seq: number): void {
  const done = db
    .update(approvals)
    .set({ status: 'consumed', consumedSeq: seq })
    .where(and(eq(approvals.id, id), eq(approvals.status, 'granted')))
    .run();
  if (done.changes === 0) throw new ConflictError('approval', runId);
}

/** Fenced by the token; an empty token means a row that nobody owns (a person's word, B6). */
function close(db: Db, q: Queries, closing: Closing, runId: string, at: number, seq: number): void {
  const { settled } = q.nextSettled.one({ runId });
  const { key, status, outside } = closing;
  const done = q.close.run({
    key,
    token: closing.token === '' ? null : closing.token,
    status,
    outside,
    output: jsonText(closing.output),
    error: jsonText(closing.error),
    now: at,
    settled,
  });
  if (done.changes === 0) throw new ConflictError('token', runId);
  if (closing.writes) keepWrites(db, closing.writes, runId, seq, at);
}

/** Clean intents end at once; what may be outside is drained by a probe; what runs is asked to stop (C1, E7, B2a). */
function stop(db: Db, runId: string, what: string[] | '*', at: number): void {
  const which = and(
    eq(effects.runId, runId),
    eq(effects.kind, 'do'),
    inArray(effects.status, openStatuses),
    what === '*' ? undefined : inArray(effects.invokeId, what),
  );
  db.update(effects)
    .set({ status: 'cancelled', attention: null, settledAt: at })
    .where(and(which, eq(effects.status, 'intent'), inArray(effects.outside, ['untouched', 'absent'])))
    .run();
  db.update(effects).set({ status: 'cancelling', attention: null, notBefore: 0 }).where(which).run();
}

function open(q: Queries, row: NewEffect, runId: string, at: number): void {
  const { key, kind, undoOf, entrySeq, invokeId, contract, child } = row;
  const status = child ? 'running' : 'intent';
  q.addEffect.run({
    key,
    kind,
    undoOf,
    entrySeq,
    invokeId,
    contract,
    runId,
    status,
    startedAt: child ? at : null,
    input: jsonText(row.input),
    locks: jsonText(row.locks),
    now: at,
  });
}

function changeTimers(db: Db, q: Queries, change: Change, seq: number): void {
  const { runId } = change;
  if (change.fired) {
    const gone = db
      .delete(timers)
      .where(and(eq(timers.runId, runId), eq(timers.timerId, change.fired.timerId), eq(timers.armedSeq, change.fired.armedSeq)))
      .run();
    if (gone.changes === 0) throw new ConflictError('timer', runId);
  }
  if (change.disarm === '*') q.disarmAll.run({ runId });
  else if (change.disarm?.length)
    db.delete(timers)
      .where(and(eq(timers.runId, runId), inArray(timers.timerId, change.disarm)))
      .run();
  for (const timer of change.arm ?? []) {
    const row = { ...timer, runId, armedSeq: seq };
    db.insert(timers)
      .values(row)
      .onConflictDoUpdate({ target: [timers.runId, timers.timerId], set: row })
      .run();
  }
}

function keepWrites(db: Db, writes: LocalWrites, runId: string, seq: number, at: number): void {
  for (const secret of writes.secrets) {
    db.insert(secrets)
      .values({
        ...secret,
        nonce: Buffer.from(secret.nonce),
        ciphertext: Buffer.from(secret.ciphertext),
        runId,
        madeSeq: seq,
        createdAt: at,
      })
      .onConflictDoNothing()
      .run();
  }
  for (const artifact of writes.artifacts)
    db.insert(artifacts)
      .values({ ...artifact, status: 'stored', runId, createdAt: at })
      .onConflictDoUpdate({ target: artifacts.id, set: { status: 'stored', runId } })
      .run();
  for (const target of writes.targets)
    db.insert(targets)
      .values({ ...target, createdAt: at })
      .onConflictDoUpdate({ target: targets.name, set: target })
      .run();
  for (const name of writes.forgotten ?? []) db.delete(targets).where(eq(targets.name, name)).run();
  for (const staged of writes.backups ?? []) keepBackup(db, staged, runId, at);
}

/** Of two runs that made the first key at once, the first one's stays: its number is taken. */
function keepBackup(db: Db, staged: StagedBackup, runId: string, at: number): void {
  if ('put' in staged) {
    const row = { ...staged.put, runId };
    db.insert(backups).values(row).onConflictDoUpdate({ target: backups.id, set: row }).run();
  } else if ('forget' in staged) {
    db.delete(backups).where(eq(backups.id, staged.forget)).run();
  } else if ('verified' in staged) {
    db.update(backups).set({ verifiedAt: staged.at }).where(eq(backups.id, staged.verified)).run();
  } else {
    db.insert(backupKeys)
      .values({ ...staged.key, createdAt: at })
      .onConflictDoNothing()
      .run();
  }
}

/** B3, S5: what lies between is void; secrets are retired, never deleted. */
function voidAfter(db: Db, runId: string, to: number, at: number): void {
  db.update(checkpoints)
    .set({ voided: true })
    .where(and(eq(checkpoints.runId, runId), gt(checkpoints.seq, to)))
    .run();
  db.update(approvals)
    .set({ status: 'void' })
    .where(and(eq(approvals.runId, runId), inArray(approvals.status, ['requested', 'granted'])))
    .run();
  db.update(secrets)
    .set({ retiredAt: at })
    .where(and(eq(secrets.runId, runId), gt(secrets.madeSeq, to), isNull(secrets.retiredAt)))
    .run();
  db.run(sql`update secrets set retired_at = ${at} where retired_at is null and run_id in (${treeIds(runId, to)})`);
}

function keepCheckpoint(db: Db, q: Queries, checkpoint: NonNullable<Change['checkpoint']>, runId: string, seq: number, at: number): void {
  const left = q.timers.all({ runId }).map(({ timerId, dueAt, event }) => ({ timerId, leftMs: Math.max(0, dueAt - at), event }));
  db.insert(checkpoints)
    .values({ ...checkpoint, runId, seq, timers: left, at })
    .onConflictDoNothing()
    .run();
}
