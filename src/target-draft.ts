/**
 * What a target becomes from what its owner has at hand: a connection string, an environment file, the config.toml of a local stack, the
 * reference of a project of the cloud. Pure; values that are secret stand in `secrets` and in `password`, to be put into the vault by the caller.
 */
import { parse } from 'smol-toml';
import { z } from 'zod';
import { shapeOf } from './doctor/generations.ts';
import { type Connection, connectionFromVariables } from './effects/postgres/connection-string.ts';
import type { KeptAddress } from './effects/postgres/sql-target.ts';
import type { CloudPooler, CloudProject } from './effects/supabase/management.ts';
import { AppError } from './errors.ts';

export type DraftAddress = Omit<KeptAddress, 'password'> & { password: string | null };

export type TargetDraft = {
  kind: 'self-hosted' | 'cloud';
  /** Empty when nothing said it. */
  url: string;
  /** Name to value. */
  secrets: Record<string, string>;
  addresses: DraftAddress[];
  facts: Record<string, unknown>;
  warnings: { code: string; say: string }[];
};

/** The one address of the string; a project of the cloud also tells its API. */
export function draftFromConnection(connection: Connection): TargetDraft {
  const cloud = connection.kind.startsWith('cloud');
  const ref = cloud ? connection.tenant : null;
  return {
    kind: cloud ? 'cloud' : 'self-hosted',
    url: ref === null ? '' : `https://${ref}.supabase.co`,
    secrets: {},
    addresses: [toAddress(connection)],
    facts: {},
    warnings: [...connection.warnings],
  };
}

function toAddress({ host, port, database, user, ssl, mode, role, tenant, password, kind }: Connection): DraftAddress {
  return { host, port, database, user, ssl, mode, role, tenant, password, dockerInternal: kind === 'docker-internal' };
}

/** Environment variable to the name under which a target keeps its secret. */
const secretNames: Readonly<Record<string, string>> = {
  POSTGRES_PASSWORD: 'postgresPassword',
  SERVICE_ROLE_KEY: 'serviceRoleKey',
  SUPABASE_SERVICE_ROLE_KEY: 'serviceRoleKey',
  SUPABASE_SERVICE_KEY: 'serviceRoleKey',
  ANON_KEY: 'anonKey',
  SUPABASE_ANON_KEY: 'anonKey',
  SUPABASE_SECRET_KEY: 'secretKey',
  SUPABASE_PUBLISHABLE_KEY: 'publishableKey',
  JWT_SECRET: 'jwtSecret',
  PG_META_CRYPTO_KEY: 'pgMetaCryptoKey',
  DASHBOARD_PASSWORD: 'dashboardPassword',
};

/** An `.env` of a self-hosted stack, or of an application that uses one. */
export function draftFromEnv(env: ReadonlyMap<string, string>): TargetDraft {
  const read = (...names: string[]) => names.map((name) => env.get(name)).find((value) => value !== undefined && value !== '');
  const secrets: Record<string, string> = {};
  for (const [variable, name] of Object.entries(secretNames)) {
    const value = env.get(variable);
    if (value !== undefined && value !== '') secrets[name] ??= value;
  }
  const url = (read('SUPABASE_PUBLIC_URL', 'SUPABASE_URL', 'NEXT_PUBLIC_SUPABASE_URL') ?? '').replace(/\/+$/, '');
  const connection = connectionFromVariables(Object.fromEntries(env));
  const tenant = read('POOLER_TENANT_ID') ?? null;
  const addresses = connection === undefined ? [] : [toAddress(connection)];
  const published = poolerAt(url, tenant, read('POSTGRES_PORT') ?? '5432');
  const ref = /^https:\/\/([a-z0-9]{20})\.supabase\.co$/.exec(url)?.[1];
  return {
    kind: ref === undefined ? 'self-hosted' : 'cloud',
    url,
    secrets,
    addresses: published === undefined ? addresses : [...addresses, published],
    facts: { generation: shapeOf(env), ...(tenant === null ? {} : { poolerTenantId: tenant }) },
    warnings: connection?.warnings.filter(({ code }) => code !== 'PASSWORD_MISSING') ?? [],
  };
}

/** Supabase's own compose publishes Supavisor on every interface of the machine (facts: Supabase §1.2). */
function poolerAt(url: string, tenant: string | null, port: string): DraftAddress | undefined {
  if (tenant === null || !URL.canParse(url) || !/^\d{1,5}$/.test(port)) return undefined;
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return {
    host,
    port: Number(port),
    database: 'postgres',
    user: `postgres.${tenant}`,
    ssl: 'prefer',
    mode: 'session',
    role: 'postgres',
    tenant,
    password: null,
    dockerInternal: false,
  };
}

const localConfig = z.looseObject({
  project_id: z.string().optional(),
  api: z.looseObject({ port: z.number().int().default(54_321) }).default({ port: 54_321 }),
  db: z.looseObject({ port: z.number().int().default(54_322), major_version: z.number().int().optional() }).default({ port: 54_322 }),
});

/** A local stack of the Supabase CLI: its ports stand in config.toml, its password is `postgres`. Throws CONFIG_TOML_INVALID. */
export function draftFromConfigToml(text: string): TargetDraft {
  const config = localConfig.safeParse(parseToml(text));
  if (!config.success) throw invalidToml();
  const { api, db } = config.data;
  const local: DraftAddress = {
    host: '127.0.0.1',
    port: db.port,
    database: 'postgres',
    user: 'postgres',
    ssl: 'disable',
    mode: 'direct',
    role: 'postgres',
    tenant: null,
    password: 'postgres',
    dockerInternal: false,
  };
  return {
    kind: 'self-hosted',
    url: `http://127.0.0.1:${api.port}`,
    secrets: {},
    addresses: [local],
    facts: {
      generation: {
        id: 'local-stack',
        name: 'a local stack of the Supabase CLI',
        ...(db.major_version === undefined ? {} : { postgresMajor: db.major_version }),
      },
    },
    warnings: [],
  };
}

function parseToml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    throw invalidToml();
  }
}

function invalidToml(): AppError {
  return new AppError('CONFIG_TOML_INVALID', {
    message: 'The file is no config.toml of the Supabase CLI.',
    fix: 'Give the path of supabase/config.toml, which has sections [api] and [db].',
  });
}

/**
 * A project of the cloud; its password comes as the secret postgresPassword. What its API said of it, where somebody asked, brings the poolers.
 * Throws PROJECT_REF_INVALID.
 */
export function draftFromProject(ref: string, known?: CloudProject): TargetDraft {
  if (!/^[a-z0-9]{20}$/.test(ref))
    throw new AppError('PROJECT_REF_INVALID', {
      message: 'A project of the cloud is named by 20 small letters and digits.',
      fix: 'It stands in the address of its dashboard and API: https://REF.supabase.co.',
    });
  const direct: DraftAddress = {
    host: `db.${ref}.supabase.co`,
    port: 5432,
    database: 'postgres',
    user: 'postgres',
    ssl: 'require',
    mode: 'direct',
    role: 'postgres',
    tenant: ref,
    password: null,
    dockerInternal: false,
  };
  return {
    kind: 'cloud',
    url: `https://${ref}.supabase.co`,
    secrets: {},
    addresses: [
      { ...direct, host: known?.databaseHost ?? direct.host },
      ...(known?.poolers ?? []).flatMap((pooler) => throughPooler(pooler, ref)),
    ],
    facts: { project: ref, ...(known === undefined ? {} : { region: known.region, generation: cloudGeneration(known) }) },
    warnings: [
      ...(known === undefined
        ? [
            {
              code: 'IPV6_ONLY',
              say: 'The direct host has an IPv6 address only; for IPv4 hand over --secret accessToken=env:X, so that the pooler is asked for, or its string with --connection.',
            },
          ]
        : []),
      ...(known === undefined || known.status === 'ACTIVE_HEALTHY'
        ? []
        : [
            {
              code: 'CLOUD_PROJECT_NOT_ACTIVE',
              say: `The project is ${known.status.toLowerCase().replaceAll('_', ' ')}: its database may not answer.`,
            },
          ]),
    ],
  };
}

/** The shared pooler (Supavisor) speaks session mode at 5432 of the host that it names; a pooler of the project's own (PgBouncer) does not. */
function throughPooler({ host, port, database, user, mode }: CloudPooler, ref: string): DraftAddress[] {
  const role = user.endsWith(`.${ref}`) ? user.slice(0, -ref.length - 1) : user;
  const given: DraftAddress = {
    host,
    port,
    database,
    user,
    ssl: 'require',
    mode,
    role,
    tenant: role === user ? null : ref,
    password: null,
    dockerInternal: false,
  };
  const shared = host.endsWith('.pooler.supabase.com') && mode === 'transaction';
  return shared ? [given, { ...given, port: 5432, mode: 'session' }] : [given];
}

function cloudGeneration({ databaseVersion }: CloudProject): Record<string, unknown> {
  const major = Number(/^(\d+)/.exec(databaseVersion.replace(/^\D+/, ''))?.[1]);
  return { id: 'cloud', name: 'a project of the cloud', gateway: 'cloud', ...(Number.isNaN(major) ? {} : { postgresMajor: major }) };
}
