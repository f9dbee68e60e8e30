import type { BackupReading } from '../backup-reading.ts';
import type { AccessAnswer, AccessQuestion, ConnectionTest, WayTaken } from '../connections.ts';
import type { DatabaseReads } from '../database-reads.ts';
import type { Discovery } from '../discovery.ts';
import type { Diagnosis } from '../doctor/diagnose.ts';
import type { Engine } from '../engine/engine.ts';
import type { LogAnswer, LogQuestion } from '../log-reading.ts';
import type { SqlAnswer, SqlQuestion } from '../sql-reading.ts';
import type { RunFacts } from './connection.ts';

/** What the MCP door needs of the house; src/app.ts fits it. */
export type McpApp = Pick<BackupReading, 'listBackups' | 'verifyBackup' | 'keyEscrowed'> & {
  engine: Engine;
  /** A workflow by name or alias, with its input as JSON Schema. Throws WORKFLOW_UNKNOWN. */
  describeWorkflow(name: string): WorkflowDescription;
  /** Every effect of a run, oldest first. Throws RUN_UNKNOWN. */
  effects(run: string): Promise<EffectSummary[]>;
  targets(): Promise<{ name: string; kind: string; url: string; tags: string[] }[]>;
  dokploys(): Promise<{ name: string; url: string }[]>;
  /** What is wrong with a target, from its settings and live checks; changes nothing. Throws TARGET_UNKNOWN, TARGET_NOT_ON_DOKPLOY and the errors of its Dokploy. */
  diagnose(target: string, signal?: AbortSignal): Promise<Diagnosis & { target: string }>;
  /** Supabase instances on these Dokploys, or on all, each with what is wrong with it; changes nothing. */
  discover(dokploys?: readonly string[], signal?: AbortSignal): Promise<Discovery>;
  /** Lines of a target's logs, free of secrets; throws TARGET_UNKNOWN, SERVICE_UNKNOWN, CONTAINERS_UNKNOWN, LOGS_UNREADABLE and more. */
  readLogs(question: LogQuestion, signal?: AbortSignal): Promise<LogAnswer>;
  /** What a target's database tells of itself. */
  database: DatabaseReads;
  /** A picture of a workflow, or of a run's definition with the states marked that it stands in. Throws RUN_UNKNOWN, WORKFLOW_UNKNOWN, DEFINITION_CHANGED. */
  diagram(of: { run: string } | { workflow: string }, format: DiagramFormat): Promise<string>;
  /** Called with a run id after a commit of this process, with nothing after one of another; returns how to stop. */
  onChange(listener: (runId: string | undefined) => void): () => void;
  /** Tries every way to a target. Throws TARGET_UNKNOWN. */
  testConnection(target: string, signal?: AbortSignal): Promise<ConnectionTest>;
  /** The way that SQL for a purpose takes. */
  connect(target: string, purpose: 'model-read' | 'model-write' | 'ddl', signal?: AbortSignal): Promise<WayTaken>;
  /** Who may do what where, and which grants are missing. Throws ACCESS_UNKNOWN, GRANT_REFUSED. */
  checkAccess(question: AccessQuestion, signal?: AbortSignal): Promise<AccessAnswer>;
  /** Rows of one reading statement; throws TARGET_UNKNOWN, SQL_WRITES, SQL_REFUSED, SQL_FAILED, SQL_TIMEOUT, SQL_NO_WAY and more. */
  readBySql(question: SqlQuestion, signal?: AbortSignal): Promise<SqlAnswer>;
  /** Writes a text to a new file in the home, which goes after a day, and answers its path. Throws EXPORT_FAILED. */
  keepText(stem: string, text: string): string;
  /** The runs that a reference may mean, or those of these ids, with the targets they are about (known ones and `names`). */
  runFacts(reference: string | readonly string[], names?: readonly string[]): Promise<RunFacts[]>;
  /** Which known targets, and which of `names`, stand as a text somewhere in a value. */
  mentioned(value: unknown, names?: readonly string[]): Promise<string[]>;
};

export type DiagramFormat = 'mermaid' | 'svg';

export type WorkflowDescription = {
  name: string;
  title: string;
  description: string;
  aliases: readonly string[];
  steps: readonly string[];
  input: unknown;
};

export type EffectSummary = {
  effect: string;
  title: string;
  contract: string;
  kind: 'do' | 'undo';
  status: string;
  outside: string;
  attempt: number;
  createdAt: string;
  settledAt?: string;
  progress?: string;
  error?: unknown;
  attention?: unknown;
};
