/** What the doors read of a target's database: one session per question, constant statements only, pure reports of what came back. */
import type { ConnectionReport, PoolerSettings } from './activity/connections.ts';
import type { StatisticsReport } from './activity/statistics.ts';
import type { Advice } from './catalog/advisors/advise.ts';
import type { Category } from './catalog/advisors/rule.ts';
import type { Line } from './catalog/lines.ts';
import type { SchemaQuestion } from './catalog/view.ts';
import type { SectionName } from './effects/postgres/catalog-sql.ts';
import type { GeneratedTypes } from './effects/postgres/generate-types.ts';
import type { OpenOptions } from './effects/postgres/open.ts';
import type { Purpose, SqlSession } from './effects/postgres/session.ts';
import { AppError } from './errors.ts';
import { type Exported, exportText } from './store/exports.ts';

/** How a question got to the database, in words for people. */
export type Via = { rung: string; role: string; postgres: number };

export type SchemaAnswer = { target: string; via: Via; schemas: Line[]; lines: Line[] };
export type ConnectionsAnswer = ConnectionReport & { target: string; via: Via; holders: Line[] };
export type StatisticsAnswer = StatisticsReport & {
  target: string;
  via: Via;
  tables: Line[];
  statements: Line[];
  locks: Line[];
  longest: Line[];
  slots: Line[];
  replicas: Line[];
};
export type AdvisorsAnswer = { target: string; via: Via; advice: Advice[]; checked: number };
/** `file` where one was asked for: in the home's folder of exports, or where the owner said. */
export type TypesAnswer = GeneratedTypes & { target: string; via: Via; file?: Exported };
export type DescriptionAnswer = { target: string; via: Via; text: string; tables: number; file?: Exported };

export type FileOptions = { toFile?: true | undefined; signal?: AbortSignal | undefined };

export type DatabaseReads = {
  /** Throws SCHEMA_UNKNOWN, OBJECT_UNKNOWN, POSTGRES_TOO_OLD and the codes of opening a session. */
  inspectSchema(target: string, question: SchemaQuestion, signal?: AbortSignal): Promise<SchemaAnswer>;
  connections(target: string, signal?: AbortSignal): Promise<ConnectionsAnswer>;
  statistics(target: string, signal?: AbortSignal): Promise<StatisticsAnswer>;
  advisors(target: string, category?: Category, signal?: AbortSignal): Promise<AdvisorsAnswer>;
  types(target: string, schemas: readonly string[], options?: FileOptions): Promise<TypesAnswer>;
  describe(target: string, schemas: readonly string[] | undefined, options?: FileOptions): Promise<DescriptionAnswer>;
};

export type DatabaseDeps = {
  /** Throws TARGET_UNKNOWN and the codes of the ladder. */
  open(target: string, purpose: Purpose, options?: OpenOptions): Promise<SqlSession>;
  scrub(text: string): string;
  /** Whether this installation has a workflow of that name. */
  hasWorkflow(name: string): boolean;
  /** Folder for files that nobody named. */
  exports: string;
};

const forTables: SectionName[] = ['schemas', 'relationsBrief', 'columnsBrief', 'constraintsBrief', 'policiesBrief', 'routines', 'types'];
const forObject: SectionName[] = [
  'schemas',
  'relations',
  'columns',
  'constraints',
  'indexes',
  'policies',
  'triggers',
  'rules',
  'routinesWhole',
  'types',
];
const forKind: Record<NonNullable<SchemaQuestion['kind']>, SectionName[]> = {
  tables: forTables,
  functions: ['schemas', 'routines'],
  types: ['schemas', 'types'],
  sequences: ['schemas', 'sequences'],
  indexes: ['schemas', 'relationsBrief', 'indexes'],
  constraints: ['schemas', 'relationsBrief', 'constraints'],
  policies: ['schemas', 'relationsBrief', 'policies'],
  triggers: ['schemas', 'relationsBrief', 'triggers'],
  extensions: ['schemas', 'extensions'],
  publications: ['schemas', 'publications'],
  grants: ['schemas', 'relationsBrief', 'routines', 'sequences', 'defaultPrivileges'],
};
const forAdvice: SectionName[] = ['schemas', 'relations', 'columns', 'constraints', 'indexes', 'policies', 'routines', 'extensions'];
const forDescription: SectionName[] = [
  'schemas',
  'relations',
  'columns',
  'constraints',
  'indexes',
  'policies',
  'triggers',
  'routines',
  'types',
];

export function createDatabaseReads({ open, scrub, hasWorkflow, exports }: DatabaseDeps): DatabaseReads {
  async function withSession<T>(
    target: string,
    purpose: 'read' | 'watch',
    signal: AbortSignal | undefined,
    work: (session: SqlSession, via: Via) => Promise<T>,
  ): Promise<T> {
    const session = await open(target, purpose, signal ? { signal } : {});
    try {
      return await work(session, { rung: session.rung, role: session.role, postgres: session.serverMajor });
    } finally {
      await session.close();
    }
  }
  const catalogOf = async (session: SqlSession, sections: readonly SectionName[], signal?: AbortSignal) => {
    const { readCatalog } = await import('./effects/postgres/read-catalog.ts');
    return readCatalog(session, sections, signal ? { signal } : {});
  };
  /** Where this database does not hold the pooler's tenant, the pooler's own may. */
  async function poolerOf(target: string, session: SqlSession, signal?: AbortSignal): Promise<PoolerSettings> {
    const { poolerDatabase, readPooler } = await import('./effects/postgres/read-activity.ts');
    const here = await readPooler(session);
    if (here.known) return here;
    try {
      const other = await open(target, 'watch', { database: poolerDatabase, ...(signal ? { signal } : {}) });
      return await readPooler(other).finally(() => other.close());
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
      return { known: false, say: `its database ${poolerDatabase} could not be read from here (${error.code})` };
    }
  }
  return {
    inspectSchema: (target, question, signal) =>
      withSession(target, 'read', signal, async (session, via) => {
        const { linesFor, schemaLines } = await import('./catalog/view.ts');
        const { kind = 'tables', object } = question;
        const catalog = await catalogOf(session, object === undefined ? forKind[kind] : forObject, signal);
        const overview = object === undefined && kind === 'tables' && question.schema === undefined;
        return { target, via, schemas: overview ? schemaLines(catalog) : [], lines: linesFor(catalog, question) };
      }),
    connections: (target, signal) =>
      withSession(target, 'watch', signal, async (session, via) => {
        const [{ connectionReport, holders, resizePool }, { readConnections }] = await activity();
        const facts = await readConnections(session);
        const pooler = await poolerOf(target, session, signal);
        return { target, via, ...connectionReport(facts, pooler, hasWorkflow(resizePool)), holders: holders(facts) };
      }),
    statistics: (target, signal) =>
      withSession(target, 'watch', signal, async (session, via) => {
        const [{ statisticsReport }, { readSlowStatements, readStatistics }] = await Promise.all([
          import('./activity/statistics.ts'),
          import('./effects/postgres/read-activity.ts'),
        ]);
        const facts = await readStatistics(session);
        const slow = await readSlowStatements(session, facts.statements);
        const { tables, locks, longest, slots, replicas } = facts;
        const statements = slow.known ? slow.rows : [];
        return { target, via, ...statisticsReport(facts, slow), tables, statements, locks, longest, slots, replicas };
      }),
    advisors: (target, category, signal) =>
      withSession(target, 'read', signal, async (session, via) => {
        const { advise, lints } = await import('./catalog/advisors/advise.ts');
        const catalog = await catalogOf(session, forAdvice, signal);
        return {
          target,
          via,
          advice: advise(catalog, category),
          checked: lints.filter((lint) => category === undefined || lint.category === category).length,
        };
      }),
    types: (target, schemas, { toFile, signal } = {}) =>
      withSession(target, 'read', signal, async (session, via) => {
        const { generateTypes } = await import('./effects/postgres/generate-types.ts');
        const made = await generateTypes(session, { schemas });
        const text = scrub(made.text);
        return { target, via, ...made, text, ...(toFile ? { file: exportText(exports, `${target}-types`, 'ts', text) } : {}) };
      }),
    describe: (target, schemas, { toFile, signal } = {}) =>
      withSession(target, 'read', signal, async (session, via) => {
        const [{ describeCatalog }, { requireSchemas }] = await Promise.all([import('./catalog/markdown.ts'), import('./catalog/view.ts')]);
        const catalog = await catalogOf(session, forDescription, signal);
        requireSchemas(catalog, schemas ?? []);
        const text = scrub(describeCatalog(catalog, { schemas }));
        const file = toFile ? { file: exportText(exports, `${target}-schema`, 'md', text) } : {};
        return { target, via, text, tables: catalog.relations.length, ...file };
      }),
  };
}

const activity = () => Promise.all([import('./activity/connections.ts'), import('./effects/postgres/read-activity.ts')]);
