/** Opens one CAPSTAN_HOME: store, key, vault, engine and worker, without any outside system or door. */
import { eq } from 'drizzle-orm';
import { systemClock } from './clock.ts';
import { ruleText } from './engine/approval-policy.ts';
import { type Catalog, createCatalog } from './engine/catalog.ts';
import { createDispatch } from './engine/dispatch.ts';
import { createEngine, type Engine } from './engine/engine.ts';
import type { ContractLike, Hands, SchemaLike } from './engine/hands-port.ts';
import type { Clock, Store, Vault } from './engine/ports.ts';
import type { WorkflowLike } from './engine/registration.ts';
import { statusOf } from './engine/view.ts';
import { createWorker, type Worker } from './engine/worker.ts';
import type { Logger } from './log.ts';
import type { Scrubber } from './scrub.ts';
import { type ApproverDesk, createApprover } from './store/approver.ts';
import { type BackupBook, createBackupBook } from './store/backup-book.ts';
import { createCrypto } from './store/crypto.ts';
import { type Home, type HomeKey, openKey, prepareHome } from './store/home.ts';
import { joinWorkers } from './store/ownership.ts';
import { createRates, type Rates } from './store/rates.ts';
import { createRegistry, type Registry } from './store/registry.ts';
import { createRunAccess, type RunAccess } from './store/run-access.ts';
import { readSecretFile } from './store/secret-file.ts';
import { type Connection, openDatabase } from './store/sqlite/database.ts';
import { migrate } from './store/sqlite/migrate.ts';
import { meta } from './store/sqlite/schema.ts';
import { createStore } from './store/sqlite/store.ts';
import { createTokens, type Tokens } from './store/tokens.ts';
import { createVault } from './store/vault.ts';
import { createWakes } from './store/wakes.ts';
import { openWaterMark } from './store/water-mark.ts';
import { watchPresence } from './store/working.ts';

export type DeskOptions = {
  home: string;
  workflows: readonly WorkflowLike[];
  contracts: Record<string, ContractLike>;
  /** Called once with what effects may use. */
  hands: (tools: { vault: Vault; registry: Registry; clock: Clock; rates: Rates; backups: BackupBook; self: Self }) => Hands;
  toJsonSchema: (schema: SchemaLike) => unknown;
  log: Logger;
  scrubber: Scrubber;
  readVariable: (name: string) => string | undefined;
  clock?: Clock;
  /** Tags whose targets take only sealed approvals (A2). Default: production. */
  sealedTags?: readonly string[];
  /** An agent may hand back a token in a person's place (A2). Default: false. */
  approvalTokens?: boolean;
  /** For tests that break a port on purpose. */
  wrapStore?: (store: Store) => Store;
};

/** What a home knows of itself, for hands that leave their sign outside. */
export type Self = {
  /** Known of all processes and runs of this home, and of no other one; no secret. */
  installation: string;
  /** True also for a run that nobody remembers. */
  runIsOver(runId: string): Promise<boolean>;
};

export type Desk = {
  home: Home;
  self: Self;
  engine: Engine;
  worker: Worker;
  catalog: Catalog;
  registry: Registry;
  vault: Vault;
  store: Store;
  rates: Rates;
  backups: BackupBook;
  tokens: Tokens;
  runAccess: RunAccess;
  approver: ApproverDesk;
  approvalTokens: boolean;
  /** Called with a run id after a commit of this process, with nothing after one of another; returns how to stop. */
  onChange(listener: (runId: string | undefined) => void): () => void;
  /** Leaves the workers and closes the store; stop the worker first. */
  close(): void;
};

/** Throws the errors of home, key, migration and registration; a half-open desk is closed again. */
export async function openDesk(options: DeskOptions): Promise<Desk> {
  const { log, scrubber, clock = systemClock } = options;
  const home = prepareHome(options.home);
  const version = await migrate(home.database, home.migrationLock);
  let onLeft: () => void = () => undefined;
  const connection = openDatabase(home.database, version, () => onLeft());
  try {
    const key = await agreeOnKey(connection, home);
    const vault = createVault({
      connection,
      key,
      artifactFolder: home.artifacts,
      scrubber,
      now: clock.now,
      readVariable: options.readVariable,
      readSecretFile: (path) => readSecretFile(path, home.folder),
    });
    const registry = createRegistry(connection, clock.now);
    const rates = createRates(connection, clock.now);
    const waterMark = openWaterMark(home.waterMark);
    if (await connection.write((db) => waterMark.check(db, clock.now())))
      log.warn({ code: 'LEDGER_WENT_BACK' }, 'the ledger is older than what it has launched: what its runs do next is probed first');
    const store = (options.wrapStore ?? ((inner: Store) => inner))(createStore(connection, waterMark));
    const crypto = createCrypto(key, clock.now);
    const backups = createBackupBook(connection, clock.now, home.backups);
    const self: Self = {
      installation: key.id,
      async runIsOver(runId) {
        const glance = await store.glance(runId);
        return glance === undefined || ['done', 'failed', 'cancelled'].includes(statusOf(glance, glance));
      },
    };
    const hands = options.hands({ vault, registry, clock, rates, backups, self });
    const catalog = createCatalog({
      workflows: options.workflows,
      contracts: options.contracts,
      hands,
      crypto,
      toJsonSchema: options.toJsonSchema,
    });
    for (const definition of catalog.list()) {
      await store.registerDefinition({
        workflow: definition.name,
        hash: definition.hash,
        config: JSON.parse(JSON.stringify(definition.machine.config)),
        revision: definition.revision,
      });
    }
    const approver = createApprover({
      connection,
      file: home.approverFile,
      sealedTags: options.sealedTags ?? ['production'],
      ruleText,
      register: scrubber.register,
      now: clock.now,
    });
    const wakes = createWakes({ work: home.wake, news: home.news }, clock.now);
    const ownership = joinWorkers(home.workers);
    const dispatch = createDispatch({ store, catalog, clock, crypto, log });
    const presence = watchPresence(home, clock.now);
    const deps = {
      store,
      dispatch,
      vault,
      hands,
      catalog,
      clock,
      crypto,
      log,
      wakes,
      ownership,
      presence,
      approver,
      approvalTokens: options.approvalTokens ?? false,
    };
    const worker = createWorker(deps);
    // What we own here we can never write down again: whoever has the newer version, or the file that is there now, takes it over (D3, E4).
    onLeft = () => void worker.stop(1_500).then(() => ownership.leave());
    return {
      home,
      self,
      engine: createEngine(deps),
      worker,
      catalog,
      registry,
      vault,
      store,
      rates,
      backups,
      tokens: createTokens(connection, clock.now),
      runAccess: createRunAccess(connection),
      approver,
      approvalTokens: deps.approvalTokens,
      onChange: (listener) => wakes.subscribe((runId) => listener(runId)),
      close() {
        wakes.close();
        ownership.leave();
        connection.close();
      },
    };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** The database remembers its key id from the first start on (S1). */
async function agreeOnKey(connection: Connection, home: Home): Promise<HomeKey> {
  const known = await connection.read((db) => db.select().from(meta).where(eq(meta.key, 'key_id')).get());
  const key = openKey(home, known?.value);
  if (!known) await connection.write((db) => db.insert(meta).values({ key: 'key_id', value: key.id }).onConflictDoNothing().run());
  return key;
}
