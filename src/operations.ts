/**
 * What the owner of an installation asks and orders (engine.md L3, L4, V3): status, audit, pruning, runs of other definitions.
 * It has a connection of its own, opened when first asked, so that a door that never asks pays nothing.
 */
import type { Desk } from './desk.ts';
import type { Clock } from './engine/ports.ts';
import { createUpgrade, type Upgrade } from './engine/upgrade.ts';
import { type RunStatus, statusOf } from './engine/view.ts';
import type { Logger } from './log.ts';
import { type AuditFilter, type AuditRow, readAudit } from './store/audit-log.ts';
import { createDefinitionRows } from './store/definitions.ts';
import { type PruneOptions, type PruneReport, prune, pruneDaily } from './store/prune.ts';
import { type Connection, openDatabase } from './store/sqlite/database.ts';
import { readMigrations } from './store/sqlite/migrate.ts';
import { type LedgerFigures, readFigures } from './store/status.ts';
import { countWorking } from './store/working.ts';

export type Status = Omit<LedgerFigures, 'groups' | 'oldestDueAt'> & {
  at: string;
  home: string;
  runs: Partial<Record<RunStatus, number>>;
  /** Something has been due since then and nobody took it; null when nothing is late. */
  oldestDue: { at: string; lateMs: number } | null;
  /** Processes that carry out work on this home now. */
  workers: number;
  /** Agents may answer for a person here (level `agent-vouched`). */
  approvalTokens: boolean;
  /** Unfinished runs that this version cannot carry on (`capstan upgrade --check`). */
  stranded: number;
};

export type Operations = Upgrade & {
  status(): Promise<Status>;
  workers(): number;
  /** A write of one step, which no run tells of. */
  note(action: string, by: { principal: string; door: string }): Promise<void>;
  /** `runId` is a whole id. */
  audit(filter: AuditFilter): Promise<AuditRow[]>;
  prune(options: PruneOptions, by: { principal: string; door: string }): Promise<PruneReport>;
  pruneDaily(): Promise<PruneReport | undefined>;
  close(): void;
};

type Deps = { desk: Pick<Desk, 'home' | 'catalog' | 'vault' | 'store' | 'approvalTokens'>; clock: Pick<Clock, 'now'>; log: Logger };

export function createOperations({ desk, clock, log }: Deps): Operations {
  const { home, catalog, vault, store } = desk;
  let opened: Connection | undefined;
  const connection = (): Connection => {
    opened ??= openDatabase(home.database, readMigrations().length); // refuses to write once another version has upgraded (D3)
    return opened;
  };
  const upgrade = (): Upgrade => createUpgrade({ rows: createDefinitionRows(connection()), catalog, clock, log });
  const pruning = () => ({
    connection: connection(),
    home,
    now: clock.now,
    readArtifact: vault.readArtifact,
    unseal: vault.unseal,
  });
  const note = (action: string, by: { principal: string; door: string }): Promise<void> =>
    store.audit({ at: clock.now(), ...by, level: null, action, runId: null, outcome: 'accepted' });
  const written = async (report: PruneReport, by: { principal: string; door: string }): Promise<PruneReport> => {
    const { runs, auditRows, artifacts, secrets, files } = report;
    const action = `prune ${runs.length} runs, ${auditRows} audit rows, ${artifacts} artifacts, ${secrets} secrets, ${files.length} files`;
    if (!report.dryRun) await note(action, by);
    return report;
  };
  return {
    check: () => upgrade().check(),
    carry: async () => (catalog.hasMigrations() ? upgrade().carry() : { carries: [], stranded: [] }),
    workers: () => countWorking(home),
    async status() {
      const now = clock.now();
      const { groups, oldestDueAt, ...figures } = await readFigures(connection(), home.database, now);
      return {
        at: new Date(now).toISOString(),
        home: home.folder,
        runs: countByStatus(groups),
        ...figures,
        oldestDue: oldestDueAt === null ? null : { at: new Date(oldestDueAt).toISOString(), lateMs: now - oldestDueAt },
        workers: countWorking(home),
        approvalTokens: desk.approvalTokens,
        stranded: (await upgrade().check()).stranded.length,
      };
    },
    note,
    audit: (filter) => readAudit(connection(), filter),
    prune: async (options, by) => written(await prune(pruning(), options), by),
    async pruneDaily() {
      const report = await pruneDaily(pruning());
      return report && written(report, { principal: 'capstan', door: 'worker' });
    },
    close: () => opened?.close(),
  };
}

/** A group's status is that of any run in it: `attention` is all that the derivation asks of the record itself (B6). */
function countByStatus(groups: LedgerFigures['groups']): Partial<Record<RunStatus, number>> {
  const marked = { code: 'ATTENTION', message: '', retry: 'ask' as const };
  const out: Partial<Record<RunStatus, number>> = {};
  for (const { phase, held, attention, blocked, runs, ...counts } of groups) {
    const status = statusOf({ phase, held, attention: attention ? marked : null }, counts, blocked);
    out[status] = (out[status] ?? 0) + runs;
  }
  return out;
}
