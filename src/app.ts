/**
 * The composition root: the only file that knows every room (design §3). Nothing here is loaded before it is needed:
 * doors import this file lazily, so that `--version` and the first MCP answer stay fast.
 */
import { contracts } from '../machines/effects/registry.ts';
import { workflows } from '../machines/registry.ts';
import { type AuditedApprover, auditedApprover } from './audited-approver.ts';
import { type BackupReading, createBackupReading } from './backup-reading.ts';
import { type BackupSchedules, createBackupSchedules } from './backup-schedules.ts';
import { systemClock } from './clock.ts';
import { type Config, quietLibraries } from './config.ts';
import type { ConnectionDeps, DraftedTarget, TargetSource } from './connections.ts';
import { createDatabaseReads } from './database-reads.ts';
import type { Desk } from './desk.ts';
import { createDiagrams } from './diagrams.ts';
import type { Found } from './discovery.ts';
import { createLimiters, type Limiter } from './effects/dokploy/rate-limit.ts';
import type { DokployConnection } from './effects/handler.ts';
import { audited, keepRefusals } from './engine/audited.ts';
import type { EffectRow, StagedSecret } from './engine/ports.ts';
import { AppError } from './errors.ts';
import { connectionOf, openHouse, type Patience } from './house.ts';
import { keepHouse } from './housekeeping.ts';
import type { Logger } from './log.ts';
import type { EffectSummary, McpApp } from './mcp/app-port.ts';
import { createOperations, type Operations } from './operations.ts';
import { createRunFacts } from './run-facts.ts';
import type { Scrubber } from './scrub.ts';
import { createSqlReach } from './sql-reach.ts';
import { exportText } from './store/exports.ts';
import type { DokployRow } from './store/registry.ts';
import { beginWorking } from './store/working.ts';
import { loadWorkflows } from './workflows/load.ts';
import { mergeWorkflows } from './workflows/merge.ts';

export type Surroundings = {
  config: Config;
  log: Logger;
  scrubber: Scrubber;
  /** How long deployments and certificates are waited for; the defaults of the effects where left out. */
  patience?: Patience;
  /** Folders with workflows of the user's own (`--workflows`). */
  workflowFolders?: readonly string[];
};

export type Warning = { code: string; say: string };
export type DokployCheck = { version: string; warnings: Warning[] };

export type App = McpApp &
  BackupReading & { schedules: BackupSchedules } & Pick<
    Desk,
    'backups' | 'home' | 'engine' | 'worker' | 'registry' | 'vault' | 'tokens' | 'runAccess' | 'rates'
  > & {
    approver: AuditedApprover;
    /** Status, audit, pruning, runs of other definitions. */
    operations: Operations;
    /** As given, for a worker that is left behind. */
    workflowFolders: readonly string[];
    /** How a stored dokploy is reached, its key and header values revealed. Throws DOKPLOY_UNKNOWN and the vault's errors. */
    connection(row: Omit<DokployRow, 'createdAt'>, staged?: readonly StagedSecret[]): Promise<DokployConnection>;
    /** Asks a Dokploy for health, version and permissions; changes nothing. Throws the client's errors and DOKPLOY_PERMISSIONS. */
    checkDokploy(connection: DokployConnection): Promise<DokployCheck>;
    /** Checks what the owner typed. Throws URL_INVALID, ADDRESS_REFUSED and RESOLVE_INVALID; warns of http. */
    readAddress(typed: { url: string; resolve?: readonly string[]; allowPath?: boolean }): Promise<{ url: string; warnings: Warning[] }>;
    /** Registers found instances that are no targets yet; answers their names. Throws TARGET_EXISTS. */
    registerFound(found: readonly Found[]): Promise<string[]>;
    /** A target as it would be stored, its secrets staged. Throws TARGET_SOURCE_MISSING and what reading the source throws. */
    draftTarget(source: TargetSource): Promise<DraftedTarget>;
    /** From now on this process no longer counts as one that works; true when another one does (engine.md L1). */
    handsOver(): boolean;
    /** True when an effect, timer or rollback waits to be done by some process. */
    hasWork(): Promise<boolean>;
    /** Leaves the workers and closes the store; stop the worker first. */
    close(): void;
  };

/** Opens one home with every room in it. Throws the errors of home, key, migration, `--workflows` and registration. */
export async function openApp({ config, log, scrubber, patience, workflowFolders = [] }: Surroundings): Promise<App> {
  quietLibraries();
  const book = mergeWorkflows({ workflows: Object.values(workflows), contracts }, await loadWorkflows(workflowFolders));
  const desk = await openHouse({
    home: config.home,
    book,
    log,
    scrubber,
    patience,
    ...(config.sealedTags === undefined ? {} : { sealedTags: config.sealedTags }),
    approvalTokens: config.approvalTokens ?? false,
  });
  const { home, registry, vault, store } = desk;
  const audit = { store, clock: systemClock, log };
  const engine = audited({ ...audit, engine: desk.engine });
  const operations = createOperations({ desk, clock: systemClock, log });
  const worker = workingOpenly(desk, operations, log);
  const readers = readersOf(desk, scrubber);
  return {
    home,
    engine,
    worker,
    handsOver() {
      worker.unmark();
      return operations.workers() > 0;
    },
    registry,
    vault,
    tokens: desk.tokens,
    runAccess: desk.runAccess,
    approver: auditedApprover(desk.approver, keepRefusals(audit)),
    rates: desk.rates,
    operations,
    workflowFolders,
    backups: desk.backups,
    ...readers,
    schedules: createBackupSchedules({ desk, engine, keyEscrowed: readers.keyEscrowed, clock: systemClock, log }),
    connection: (row, staged) => connectionOf(vault, row, staged),
    checkDokploy: (connection) => askDokploy(connection, createLimiters({ turnstile: desk.rates })(connection.name)),
    readAddress,
    hasWork: async () => {
      const due = await store.nextDue();
      if (due !== undefined && due < Date.now() + dueSoonMs) return true;
      return (await store.owners()).length > 0 || (await store.rollbacksDue()).length > 0;
    },
    close() {
      void readers.closeSessions();
      operations.close();
      desk.close();
    },
  };
}

/** A worker that counts as one while it works (engine.md L3), and keeps house meanwhile (L4). */
function workingOpenly({ home, worker }: Desk, { pruneDaily }: Operations, log: Logger): Desk['worker'] & { unmark(): void } {
  let mark: { end(): void } | undefined;
  let house: { stop(): void } | undefined;
  const unmark = () => {
    mark?.end();
    mark = undefined;
  };
  return {
    ...worker,
    unmark,
    start() {
      worker.start();
      mark ??= beginWorking(home);
      house ??= keepHouse(pruneDaily, log);
    },
    async stop(graceMs) {
      house?.stop();
      await worker.stop(graceMs);
      unmark();
    },
  };
}

/** As long as a worker that was left behind stays for something that is not due yet (engine.md L2). */
const dueSoonMs = 10 * 60_000;

/** The plain reads of the MCP door; what a diagnosis reads from outside is made known to the scrubber first. */
export function readersOf(
  desk: Pick<
    Desk,
    'engine' | 'catalog' | 'registry' | 'store' | 'vault' | 'rates' | 'home' | 'self' | 'runAccess' | 'onChange' | 'backups'
  >,
  scrubber: Scrubber,
): Omit<McpApp, 'engine'> & Pick<App, 'registerFound' | 'draftTarget'> & BackupReading & { closeSessions(): Promise<void> } {
  const { register, scrub } = scrubber;
  const { engine, catalog, registry, store, vault, rates, home, self } = desk;
  const limiterFor = createLimiters({ turnstile: rates });
  const connection = async (name: string) => connectionOf(vault, await registry.dokploy(name));
  const outside = { registry, vault, connection, limiterFor, now: systemClock.now, self, register };
  const reach = createSqlReach(outside);
  const deployedEnv: ConnectionDeps['deployedEnv'] = async (row, signal) => {
    const { readDeployedEnv } = await import('./deployed-env.ts');
    return readDeployedEnv(outside, row, signal);
  };
  const reveal = async (reference: string) => {
    const value = await vault.reveal(reference);
    register(value);
    return value;
  };
  return {
    ...createRunFacts(desk),
    ...createDiagrams(desk),
    onChange: desk.onChange,
    ...createBackupReading({ desk, clock: systemClock }),
    keepText: (stem, text) => exportText(home.exports, stem, 'json', text).path,
    describeWorkflow(reference) {
      const { name, title, description, aliases, steps, input } = catalog.workflow(reference);
      return { name, title, description, aliases, steps, input: catalog.jsonSchema(input) };
    },
    async effects(run) {
      const { runId } = await engine.inspect(run);
      return (await store.effects(runId)).map((row) => toSummary(row, catalog.contract(row.contract).title));
    },
    async targets() {
      const rows = await registry.targets();
      return rows.map(({ name, kind, tags, record }) => ({
        name,
        kind,
        tags,
        url: typeof record['url'] === 'string' ? record['url'] : '',
      }));
    },
    async dokploys() {
      return (await registry.dokploys()).map(({ name, url }) => ({ name, url }));
    },
    async diagnose(target, signal) {
      const { diagnoseTarget } = await import('./diagnosis.ts');
      return diagnoseTarget(outside, target, signal);
    },
    async discover(dokploys, signal) {
      const { discoverInstances } = await import('./discovery.ts');
      return discoverInstances(outside, dokploys, signal);
    },
    async registerFound(found) {
      const { registerInstances } = await import('./discovery.ts');
      return registerInstances(outside, found);
    },
    async readLogs(question, signal) {
      const { readTargetLogs } = await import('./log-reading.ts');
      return readTargetLogs({ ...outside, scrub, exports: home.exports }, question, signal);
    },
    closeSessions: reach.close,
    database: createDatabaseReads({
      open: reach.open,
      scrub,
      exports: home.exports,
      hasWorkflow: (name) => engine.workflows().some((each) => each.name === name),
    }),
    async testConnection(target, signal) {
      const { testConnection } = await import('./connections.ts');
      return testConnection({ registry, reach, deployedEnv, reveal }, target, signal);
    },
    async connect(target, purpose, signal) {
      const { connectOnce } = await import('./connections.ts');
      return connectOnce({ reach }, target, purpose, signal);
    },
    async checkAccess(question, signal) {
      const { checkAccess } = await import('./connections.ts');
      return checkAccess({ reach }, question, signal);
    },
    async draftTarget(source) {
      const { draftTarget } = await import('./connections.ts');
      return draftTarget({ ...outside, reach, deployedEnv, reveal, readAddress }, source);
    },
    async readBySql(question, signal) {
      const { readBySql } = await import('./sql-reading.ts');
      return readBySql({ ...outside, reach, scrubber, exports: home.exports }, question, signal);
    },
  };
}

function toSummary(row: EffectRow, title: string): EffectSummary {
  const { key: effect, contract, kind, status, outside, attempt, error, attention, progress, settledAt } = row;
  return {
    effect,
    title: kind === 'undo' ? `Take back: ${title}` : title,
    contract,
    kind,
    status,
    outside,
    attempt,
    createdAt: new Date(row.createdAt).toISOString(),
    ...(settledAt === null ? {} : { settledAt: new Date(settledAt).toISOString() }),
    ...(progress === null ? {} : { progress: progress.say }),
    ...(error === null ? {} : { error }),
    ...(attention === null ? {} : { attention }),
  };
}

async function askDokploy(connection: DokployConnection, limiter: Limiter): Promise<DokployCheck> {
  const { createDokployClient } = await import('./effects/dokploy/client.ts');
  const { missingPermissions } = await import('./effects/dokploy/projects.ts');
  const client = createDokployClient(connection, { limiter });
  await client.health();
  const version = await client.version();
  const permissions = await client.permissions();
  if (permissions.state === 'unknown') return { version: version.text, warnings: [{ code: 'PERMISSIONS_UNKNOWN', say: permissions.say }] };
  const missing = missingPermissions(permissions.areas);
  if (missing.length === 0) return { version: version.text, warnings: [] };
  throw new AppError('DOKPLOY_PERMISSIONS', {
    message: `The key of the Dokploy "${connection.name}" lacks permissions that deployments need: ${missing.join(', ')}.`,
    fix: 'Use a key of an owner or admin of the organization.',
    details: { missing },
  });
}

async function readAddress(typed: {
  url: string;
  resolve?: readonly string[];
  allowPath?: boolean;
}): Promise<{ url: string; warnings: Warning[] }> {
  const [{ parseBaseUrl }, { parseResolve }] = await Promise.all([
    import('./effects/http/addresses.ts'),
    import('./effects/http/reach.ts'),
  ]);
  for (const entry of typed.resolve ?? []) parseResolve(entry);
  return parseBaseUrl(typed.url, { allowPath: typed.allowPath ?? false });
}
