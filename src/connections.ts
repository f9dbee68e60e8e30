/** Registering a target from what its owner has, and trying every way to it. */
import type { Reach } from './effects/handler.ts';
import type { AccessRow } from './effects/postgres/access-matrix.ts';
import { type Purpose, type Rung, rungs } from './effects/postgres/session.ts';
import type { StagedSecret, Vault } from './engine/ports.ts';
import { envVariables, parseEnv } from './env-text.ts';
import { AppError, toRecord } from './errors.ts';
import type { Generation, GenerationDeps } from './generation.ts';
import type { SqlReach } from './sql-reach.ts';
import type { Registry, TargetRow } from './store/registry.ts';
import type { TargetDraft } from './target-draft.ts';

export type TargetSource = {
  name: string;
  tags: string[];
  kind?: string | undefined;
  url?: string | undefined;
  /** Reference of a connection string. */
  connection?: string | undefined;
  envText?: string | undefined;
  configToml?: string | undefined;
  project?: string | undefined;
  /** Name and reference. */
  secrets: readonly (readonly [string, string])[];
  ca?: string | undefined;
  headers: readonly (readonly [string, string])[];
  resolve: readonly string[];
  superuserSql: boolean;
};

export type DraftedTarget = {
  row: Omit<TargetRow, 'createdAt' | 'record'> & {
    record: { url: string; secrets: Record<string, string>; facts: Record<string, unknown> };
  };
  staged: StagedSecret[];
  warnings: { code: string; say: string }[];
};

export type ConnectionTest = {
  target: string;
  reachable: boolean;
  ways: { rung: Rung; ok: boolean; role?: string; superuser?: boolean; postgres?: number; code?: string; say: string }[];
  /** What can be told of it now; each with the reason. */
  generation: Generation;
  next: string;
};

export type ConnectionDeps = {
  registry: Pick<Registry, 'target'>;
  vault: Pick<Vault, 'handOver' | 'stageSecret' | 'reveal'>;
  reach: SqlReach;
  deployedEnv: GenerationDeps['deployedEnv'];
  reveal: GenerationDeps['reveal'];
  readAddress(typed: {
    url: string;
    resolve?: readonly string[];
    allowPath?: boolean;
  }): Promise<{ url: string; warnings: DraftedTarget['warnings'] }>;
};

/** Stages every secret; nothing is stored yet. Throws TARGET_SOURCE_MISSING, and what reading the source throws. */
export async function draftTarget({ vault, readAddress }: ConnectionDeps, source: TargetSource): Promise<DraftedTarget> {
  const scope = `target:${source.name}`;
  const staged: StagedSecret[] = [];
  const keep = (name: string, value: string): string => {
    const secret = vault.stageSecret(scope, name, value);
    staged.push(secret);
    return `secret:${secret.id}`;
  };
  const take = async (name: string, reference: string): Promise<string> => {
    const handed = await vault.handOver(reference, scope, name);
    if (handed.staged) staged.push(handed.staged);
    return handed.reference;
  };
  const revealOnce = async (reference: string, name = 'connection') => {
    const handed = await vault.handOver(reference, scope, name);
    return vault.reveal(handed.reference, handed.staged ? [handed.staged] : []);
  };
  const drafts = await draftsOf(source, revealOnce);
  if (drafts.length === 0 && source.url === undefined)
    throw new AppError('TARGET_SOURCE_MISSING', {
      message: 'Nothing says where the instance is.',
      fix: 'Give --url, --connection env:X, --env FILE, --config FILE or --project REF.',
    });
  const secrets: Record<string, string> = {};
  for (const { secrets: found } of drafts) for (const [name, value] of Object.entries(found)) secrets[name] ??= keep(name, value);
  for (const [name, reference] of source.secrets) secrets[name] = await take(name, reference);
  const addresses = drafts
    .flatMap((draft) => draft.addresses)
    .map((address) => ({ ...address, password: address.password === null ? null : keep(`password of ${address.role}`, address.password) }));
  const headers: Record<string, string> = {};
  for (const [name, reference] of source.headers) headers[name] = await take(`header ${name}`, reference);
  const typed = source.url ?? drafts.map(({ url }) => url).find((url) => url !== '');
  const { url, warnings } =
    typed === undefined ? { url: '', warnings: [] } : await readAddress({ url: typed, resolve: source.resolve, allowPath: true });
  const reach: Reach = {
    ...(source.ca === undefined ? {} : { ca: source.ca }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(source.resolve.length === 0 ? {} : { resolve: [...source.resolve] }),
  };
  const sql = { addresses, superuser: source.superuserSql, reach };
  return {
    row: {
      name: source.name,
      kind: source.kind ?? drafts[0]?.kind ?? 'self-hosted',
      tags: source.tags,
      record: { url, secrets, facts: { ...Object.assign({}, ...drafts.map(({ facts }) => facts)), sql } },
    },
    staged,
    warnings: [...warnings, ...drafts.flatMap((draft) => draft.warnings)],
  };
}

async function draftsOf(source: TargetSource, reveal: (reference: string) => Promise<string>): Promise<TargetDraft[]> {
  const [draft, { parseConnection }] = await Promise.all([import('./target-draft.ts'), import('./effects/postgres/connection-string.ts')]);
  return [
    ...(source.connection === undefined ? [] : [draft.draftFromConnection(parseConnection(await reveal(source.connection)))]),
    ...(source.envText === undefined ? [] : [draft.draftFromEnv(envVariables(parseEnv(source.envText)))]),
    ...(source.configToml === undefined ? [] : [draft.draftFromConfigToml(source.configToml)]),
    ...(source.project === undefined ? [] : [draft.draftFromProject(source.project, await cloudProject(source, reveal))]),
  ];
}

/** Asked only with an access token; its reach is the target's own. */
async function cloudProject({ project, secrets, ca, resolve }: TargetSource, reveal: (reference: string) => Promise<string>) {
  const token = secrets.find(([name]) => name === 'accessToken')?.[1];
  if (token === undefined || project === undefined || !/^[a-z0-9]{20}$/.test(project)) return undefined;
  const { readCloudProject } = await import('./effects/supabase/management.ts');
  return readCloudProject(project, await reveal(token), { ...(ca === undefined ? {} : { ca }), resolve: [...resolve] });
}

/** Tries each rung by itself, for constant SQL that reads. Throws TARGET_UNKNOWN and the vault's errors. */
export async function testConnection(
  { registry, reach, deployedEnv, reveal }: Pick<ConnectionDeps, 'registry' | 'reach' | 'deployedEnv' | 'reveal'>,
  target: string,
  signal?: AbortSignal,
): Promise<ConnectionTest> {
  const row = await registry.target(target);
  const ways = await reach.ways(row, [], signal);
  const { detectGeneration } = await import('./generation.ts');
  const generation = detectGeneration({ reach, deployedEnv, reveal }, row, signal);
  generation.catch(() => undefined); // awaited below, where its failure is thrown
  const { openSession } = await import('./effects/postgres/open.ts');
  const tried = await Promise.all(
    rungs
      .filter((rung) => rung !== 'management' || row.kind === 'cloud')
      .map(async (rung): Promise<ConnectionTest['ways'][number]> => {
        try {
          const session = await openSession(ways, 'read', { rung, timeoutMs: 10_000, ...(signal ? { signal } : {}) });
          await session.close();
          const { role, superuser, serverMajor: postgres } = session;
          return { rung, ok: true, role, superuser, postgres, say: `Postgres ${postgres} answers` };
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          const { code, message } = toRecord(error);
          return { rung, ok: false, code, say: message };
        }
      }),
  );
  const first = tried.find(({ ok }) => ok);
  return {
    target,
    reachable: first !== undefined,
    ways: tried,
    generation: await generation,
    next:
      first === undefined
        ? 'No way leads SQL there: mend the first one named, or hand over another address with targets add.'
        : `SQL goes by ${first.rung} as ${first.role}.`,
  };
}

export type WayTaken = { target: string; rung: Rung; role: string; superuser: boolean; postgres: number; reasons: readonly string[] };

/** Opens the way that the purpose would get, and closes it again. Throws TARGET_UNKNOWN and the codes of openSession. */
export async function connectOnce(
  { reach }: Pick<ConnectionDeps, 'reach'>,
  target: string,
  purpose: Purpose,
  signal?: AbortSignal,
): Promise<WayTaken> {
  const session = await reach.open(target, purpose, { timeoutMs: 10_000, ...(signal ? { signal } : {}) });
  await session.close();
  const { rung, role, superuser, serverMajor: postgres, reasons } = session;
  return { target, rung, role, superuser, postgres, reasons };
}

export type AccessQuestion = {
  target: string;
  schema?: string | undefined;
  role?: string | undefined;
  want?: 'read' | 'write' | undefined;
};
export type AccessAnswer = { rows: AccessRow[] /** The statements that are missing, where something was wanted. */; grants?: string[] };

/** Throws TARGET_UNKNOWN, ACCESS_UNKNOWN, GRANT_REFUSED and the codes of openSession. */
export async function checkAccess(
  { reach }: Pick<ConnectionDeps, 'reach'>,
  question: AccessQuestion,
  signal?: AbortSignal,
): Promise<AccessAnswer> {
  const [{ accessMatrix, usualRoles }, { grantStatements, missingRights }] = await Promise.all([
    import('./effects/postgres/access-matrix.ts'),
    import('./effects/postgres/missing-rights.ts'),
  ]);
  const { target, schema, role, want } = question;
  const session = await reach.open(target, 'read', { timeoutMs: 15_000, ...(signal ? { signal } : {}) });
  try {
    const rows = await accessMatrix(session, { roles: role === undefined ? usualRoles : [role], schema });
    if (want === undefined) return { rows };
    const wish = { role: role ?? '', schema: schema ?? '', want };
    return { rows, grants: grantStatements(wish, await missingRights(session, wish)) };
  } finally {
    await session.close();
  }
}
