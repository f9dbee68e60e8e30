/**
 * A SQL session on one target, whatever carries it. Everything that speaks SQL builds on this type. Invariants:
 * 1. Text without values may hold several statements and runs as one transaction; with values it is exactly one statement.
 * 2. No state of the session lasts from one query to the next: on some rungs each query has a server session of its own.
 * 3. Values come back as JSON: dates as ISO-like text, bytea as `\x…`, integers that JavaScript cannot hold as text.
 * 4. Whoever opens a session closes it; closing twice does no harm.
 */

/** How SQL gets there, best first (ladder.ts). */
export const rungs = ['direct', 'session-pooler', 'meta', 'bridge', 'exec', 'management'] as const;
export type Rung = (typeof rungs)[number];

/**
 * What a session is wanted for; it decides rung and role.
 * read: constant SQL of this package that only looks. watch: the same, where one must see what other roles do. model-read: somebody else's SQL, read only.
 * model-write: somebody else's SQL after a person's yes. ddl: migrations, seeds. admin: constant SQL that changes roles, passwords or the pooler.
 * dump: pg_dump, pg_restore, COPY streams.
 */
export const purposes = ['read', 'watch', 'model-read', 'model-write', 'ddl', 'admin', 'dump'] as const;
export type Purpose = (typeof purposes)[number];

export type SqlValue = string | number | boolean | null;

/** `typeId` is the type's oid, null where the rung does not tell. */
export type SqlField = { name: string; typeId: number | null };

export type SqlResult<Row> = {
  /** Of the last statement that answers rows. */
  rows: Row[];
  /** Empty where the rung tells no columns of an empty result. */
  fields: SqlField[];
  /** Rows answered or changed by the last statement; null where the rung does not tell. */
  rowCount: number | null;
};

export type QueryOptions = {
  /** Enforced by the server. Default: the session's. */
  timeoutMs?: number;
  /** Cancels the statement on the server where the rung can; the promise rejects with ABORTED. */
  signal?: AbortSignal;
  /** Answers above it end the query with SQL_RESULT_TOO_LARGE. Default 64 MB. */
  maxBytes?: number;
};

export type SqlSession = {
  rung: Rung;
  /** The role as the server names it (`current_user`). */
  role: string;
  /** True when the role is a superuser; a model's SQL never gets such a session. */
  superuser: boolean;
  /** Such as 15 or 17. */
  serverMajor: number;
  /** Why this rung, and which better ones were not possible; sentences for people. */
  reasons: readonly string[];
  /**
   * Rows are read as `Row` unchecked: say what the statement selects, or parse it.
   * Throws SQL_FAILED (SQLSTATE in `details.sqlState`), SQL_TIMEOUT, SQL_RESULT_TOO_LARGE, SQL_CONNECTION_LOST (applied unknown unless the session is read only) and ABORTED.
   */
  query<Row = Record<string, unknown>>(text: string, values?: readonly SqlValue[], options?: QueryOptions): Promise<SqlResult<Row>>;
  /**
   * Rows of one reading statement in batches of one snapshot, in a READ ONLY transaction; ends it when the loop is left. `timeoutMs` holds for
   * all batches together. Only where the rung keeps a session. Throws like `query`.
   */
  pages?<Row = Record<string, unknown>>(
    text: string,
    values: readonly SqlValue[],
    options: QueryOptions & { offset: number },
  ): AsyncGenerator<SqlResult<Row>>;
  close(): Promise<void>;
  /**
   * Only where the rung keeps a session of the server, that may then be used for several questions. `rest` empties it and answers whether it is
   * again as after its login; `wake` answers whether it is still there.
   */
  keep?: { rest(): Promise<boolean>; wake(): boolean };
};
