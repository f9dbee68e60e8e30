/**
 * The corpus on every rung. The verdict is not what our code says of itself: catalog, data, settings, files and sessions are compared before and
 * after each group, and no answer or error may hold a byte of pg_authid, the vault, own settings or files of the server.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeptSessions } from '../../src/effects/postgres/kept-sessions.ts';
import { openSession, type SqlTarget } from '../../src/effects/postgres/open.ts';
import type { Rung } from '../../src/effects/postgres/session.ts';
import { AppError, toRecord } from '../../src/errors.ts';
import { connect } from '../../src/sandbox/postgres/database.ts';
import { createScrubber } from '../../src/scrub.ts';
import { readBySql } from '../../src/sql-reading.ts';
import { dataFolder, withoutAutovacuum } from '../helpers/data-folder.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';
import { accessToken, type FakeManagement, projectRef, startManagement } from '../helpers/fake-management.ts';
import { type Pgbouncer, startPgbouncer, whyWithoutPgbouncer } from '../helpers/pgbouncer.ts';
import { waysInto } from '../helpers/sandbox-ways.ts';
import { deployStack, openSandbox } from '../sandbox/client.ts';
import { bait, hostile } from './hostile-corpus.ts';

const whyNoBouncer = whyWithoutPgbouncer();
const folder = mkdtempSync(join(tmpdir(), 'capstan-hostile-'));
const mark = join(folder, 'mark');
/** As in the product: a statement may get the session that the one before it had. */
const kept = createKeptSessions({ now: Date.now });
afterAll(async () => {
  await kept.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Every catalog that a statement could change, every row of every table, settings, slots, locks of others. */
const fingerprintSql = `
select json_build_object(
  'catalog', (select json_agg(md5(t::text)) from (
    select string_agg(x, ',' order by x) from (
      select 'c' || oid || relname || coalesce(relacl::text, '') || relrowsecurity || relowner as x from pg_class where relkind <> 't' and relnamespace::regnamespace::text !~ '^pg_(temp|toast)'
      union all select 'p' || oid || proname || md5(prosrc) || coalesce(proacl::text, '') from pg_proc
      union all select 'n' || nspname || coalesce(nspacl::text, '') from pg_namespace where nspname !~ '^pg_(temp|toast)'
      union all select 'a' || a::text from pg_authid a
      union all select 'm' || m::text from pg_auth_members m
      union all select 's' || s::text from pg_db_role_setting s
      union all select 'd' || d::text from pg_default_acl d
      union all select 't' || oid || tgname from pg_trigger
      union all select 'y' || oid || polname from pg_policy
      union all select 'e' || extname from pg_extension
      union all select 'b' || datname from pg_database
      union all select 'u' || pubname from pg_publication
      union all select 'l' || oid from pg_largeobject_metadata
      union all select 'f' || srvname from pg_foreign_server
      union all select 'i' || roname from pg_replication_origin
      union all select 'v' || evtname from pg_event_trigger
      union all select 'o' || objoid || description from pg_description where objoid > 16383
      union all select 'r' || slot_name || coalesce(confirmed_flush_lsn::text, restart_lsn::text, '') from pg_replication_slots
    ) all_of_it (x)) t),
  'settings', (select md5(string_agg(name || setting, ',' order by name)) from pg_settings where context <> 'internal' and source not in ('client', 'session')),
  'locks', (select count(*) from pg_locks where locktype = 'advisory'),
  'sequences', (select string_agg(sequencename || coalesce(last_value::text, ''), ',' order by 1) from pg_sequences)
) as x`;

async function fingerprint(admin: pg.Client, dataDir: string): Promise<Record<string, unknown>> {
  const catalog = (await admin.query(fingerprintSql)).rows[0]?.x;
  const tables = await admin.query<{ name: string }>(
    "select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where relkind in ('r', 'm') and nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_' order by 1",
  );
  const data: Record<string, string> = {};
  for (const { name } of tables.rows)
    data[name] = String(
      (await admin.query(`select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) as h from ${name} t`)).rows[0]?.h,
    );
  return { catalog, data, files: dataFolder(dataDir), marks: readdirSync(mark) };
}

type Lab = {
  admin: pg.Client;
  dataDir: string;
  /** Texts that no answer may hold. */
  secrets: string[];
  target: SqlTarget;
  victim: pg.Client;
  victimPid: number;
};

async function prepare(admin: pg.Client, victim: pg.Client, dataDir: string, database: string, target: SqlTarget): Promise<Lab> {
  await withoutAutovacuum(admin);
  const canary = `canary${randomBytes(8).toString('hex')}`;
  writeFileSync(join(dataDir, 'canary-file.txt'), `${canary}-file`);
  chmodSync(join(dataDir, 'canary-file.txt'), 0o644);
  await admin.query(bait.replaceAll('CANARY', canary).replaceAll('DATABASE', database));
  await admin.query("select pg_create_logical_replication_slot('kept', 'pgoutput')");
  const verifiers = await admin.query<{ rolpassword: string }>('select rolpassword from pg_authid where rolpassword is not null');
  const pid = Number((await victim.query('select pg_backend_pid() as pid')).rows[0]?.pid);
  return {
    admin,
    dataDir,
    secrets: [
      canary,
      ...verifiers.rows.map(({ rolpassword }) => rolpassword.slice(0, 40)),
      'root:x:0:0',
      '# PostgreSQL Client Authentication',
      'SCRAM-SHA-256$',
    ],
    target,
    victim,
    victimPid: pid,
  };
}

/** The session of an application, which other roles of its rank may end. */
const ordinary = (port: number, password: string) => connect({ host: '127.0.0.1', port, database: 'postgres', user: 'postgres', password });

/** In every encoding that a statement above asks for. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString('base64').slice(0, 20), bytes.toString('hex').slice(0, 24), [...secret].reverse().join('')];
}

async function attack(lab: Lab, rung: Rung, sql: string): Promise<string> {
  const scrubber = createScrubber(); // knows no secret: what is kept back is kept back by refusal
  const deps = {
    reach: {
      open: (_name: string, purpose: 'model-read', options = {}) =>
        kept.take({ target: lab.target.name, use: JSON.stringify(options), way: JSON.stringify(lab.target.addresses) }, () =>
          openSession(lab.target, purpose, options),
        ),
    },
    registry: { target: async (name: string) => ({ name, kind: 'self-hosted', tags: [], record: {}, createdAt: 0 }) },
    vault: { reveal: async () => '' },
    now: Date.now,
    scrubber,
    exports: join(folder, 'exports'),
  };
  const text = sql.replaceAll('MARK', mark).replaceAll('VICTIM', String(lab.victimPid));
  try {
    return JSON.stringify(await readBySql(deps as never, { target: 'lab', sql: text, timeoutMs: 1_500, limit: 50, rung }));
  } catch (error) {
    if (error instanceof AppError) return JSON.stringify(toRecord(error));
    throw error;
  }
}

function corpusOn(name: string, lab: () => Lab, rungs: readonly Rung[]) {
  describe.each(rungs)(`${name} by %s`, (rung) => {
    test.each(Object.keys(hostile))(
      '%s: nothing changes, nothing secret comes back',
      async (group) => {
        const { admin, dataDir, secrets, victim } = lab();
        const before = await fingerprint(admin, dataDir);
        const answers: [string, string][] = [];
        for (const sql of hostile[group] ?? []) answers.push([sql, await attack(lab(), rung, sql)]);
        // What a statement that was ended still holds on disk goes with it.
        await expect.poll(() => fingerprint(admin, dataDir), { timeout: 5_000 }).toEqual(before);
        expect((await victim.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
        const leaks = answers.filter(([, answer]) => secrets.some((secret) => formsOf(secret).some((form) => answer.includes(form))));
        expect(leaks).toEqual([]);
        // No session of ours stays behind, whatever the statement was.
        await expect
          .poll(
            async () =>
              (
                await admin.query(
                  "select count(*)::int as n from pg_stat_activity where application_name like 'capstan%' and state <> 'idle'",
                )
              ).rows,
            { timeout: 5_000 },
          )
          .toEqual([{ n: 0 }]);
        // Reading goes on: a refusal that refuses everything would pass all of the above.
        expect(JSON.parse(await attack(lab(), rung, 'select count(*)::int as n from public.orders'))).toMatchObject({ rows: [{ n: 20 }] });
      },
      240_000,
    );
  });
}

test('the corpus has at least 200 statements, none twice', () => {
  const all = Object.values(hostile).flat();
  expect(new Set(all).size).toBe(all.length);
  expect(all.length).toBeGreaterThanOrEqual(200);
});

describe.each(majors)('Postgres %i', (major) => {
  let server: TestServer;
  let cloud: FakeManagement;
  let bouncer: Pgbouncer | undefined;
  const labs: Record<string, Lab> = {};
  beforeAll(async () => {
    mkdirSync(mark, { recursive: true });
    chmodSync(folder, 0o777);
    chmodSync(mark, 0o777);
    server = await startServer(major);
    const at = (user: string) => ({
      host: '127.0.0.1',
      port: server.port,
      database: 'postgres',
      user,
      password: server.password,
      ssl: 'disable' as const,
    });
    const lab = await prepare(await server.admin(), await ordinary(server.port, server.password), server.dataDir, 'postgres', {
      name: 'lab',
      reach: {},
      addresses: [at('supabase_read_only_user')],
    });
    labs['read-only role'] = lab;
    cloud = await startManagement({ server });
    if (whyNoBouncer === undefined) bouncer = await startPgbouncer(server, 'session');
    labs['Management API'] = {
      ...lab,
      target: {
        name: 'lab',
        reach: { ca: cloud.ca, resolve: cloud.resolve },
        addresses: [],
        management: { ref: projectRef, token: accessToken },
      },
    };
    labs['a real pooler'] = { ...lab, target: { name: 'lab', reach: {}, addresses: bouncer === undefined ? [] : [bouncer.address] } };
    labs['postgres'] = { ...lab, target: { name: 'lab', reach: {}, addresses: [at('postgres')] } };
  });
  afterAll(async () => {
    cloud?.close();
    await bouncer?.stop();
    await server.stop();
  });

  test('the judge of these tests sees what is done', async () => {
    const { admin, dataDir } = labs['postgres'] as Lab;
    for (const sql of [
      'insert into public.orders (note) values (1)',
      'alter role anon bypassrls',
      'alter table public.orders disable row level security',
      "select pg_create_physical_replication_slot('seen')",
      'select lo_create(0)',
      'select pg_advisory_lock(1)',
      `copy (select 1) to '${mark}/seen'`,
      ...['seen', 'base/1/seen', 'base/1/99999', 'global/seen', 'pg_wal/seen', 'pg_xact/seen'].map(
        (name) => `copy (select 1) to '${dataDir}/${name}'`,
      ),
      `select lo_export((select max(oid) from pg_largeobject_metadata), '${dataDir}/base/exported')`,
      'alter system set work_mem = 4243',
    ]) {
      const last = await fingerprint(admin, dataDir);
      await admin.query(sql);
      expect(await fingerprint(admin, dataDir), sql).not.toEqual(last);
    }
    await admin.query("select pg_drop_replication_slot('seen'), pg_advisory_unlock_all()");
    await admin.query(
      "delete from public.orders where note = '1'; alter role anon nobypassrls; alter table public.orders enable row level security",
    );
    rmSync(join(mark, 'seen'), { force: true });
    await admin.query('alter system reset work_mem');
    for (const name of ['seen', 'base/1/seen', 'base/1/99999', 'global/seen', 'pg_wal/seen', 'pg_xact/seen', 'base/exported'])
      rmSync(join(dataDir, name), { force: true });
  });

  corpusOn('as supabase_read_only_user', () => labs['read-only role'] as Lab, ['direct']);
  corpusOn('as a project of the cloud', () => labs['Management API'] as Lab, ['management']);
  // One major is enough to try what stands between.
  if (major === 17 && whyNoBouncer === undefined)
    corpusOn('behind a real PgBouncer', () => labs['a real pooler'] as Lab, ['session-pooler']);
  corpusOn('as postgres', () => labs['postgres'] as Lab, ['direct']);

  test('the corpus bites: a READ ONLY session of a role that is no superuser is not enough', async () => {
    const lab = labs['postgres'] as Lab;
    const before = await fingerprint(lab.admin, lab.dataDir);
    const answers: string[] = [];
    for (const sql of [...(hostile['secrets'] ?? []), ...(hostile['server'] ?? [])]) {
      const session = await openSession(lab.target, 'model-read', { timeoutMs: 1_500 });
      answers.push(await session.query(sql.replaceAll('VICTIM', String(lab.victimPid)), []).then(JSON.stringify, String));
      await session.close();
    }
    expect(
      answers.filter((answer) => lab.secrets.some((secret) => formsOf(secret).some((form) => answer.includes(form)))).length,
    ).toBeGreaterThan(20);
    expect(await fingerprint(lab.admin, lab.dataDir)).not.toEqual(before);
    await expect(lab.victim.query('select 1')).rejects.toThrow();
  });
});

describe('the sandbox, which publishes no port of the database', () => {
  let box: Awaited<ReturnType<typeof openSandbox>>;
  let lab: Lab;
  const clients: pg.Client[] = [];
  beforeAll(async () => {
    mkdirSync(mark, { recursive: true });
    chmodSync(mark, 0o777);
    const dataDir = mkdtempSync(join(tmpdir(), 'capstan-hostile-box-'));
    box = await openSandbox({ dataDir });
    const stack = await deployStack(box.sandbox);
    const { postgresRoot } = JSON.parse(readFileSync(join(dataDir, 'sandbox.json'), 'utf8')) as { postgresRoot: string };
    const pgData = join(postgresRoot, stack.composeId, 'data');
    const password = stack.env['POSTGRES_PASSWORD'] ?? '';
    const port = Number(readFileSync(join(pgData, 'postmaster.pid'), 'utf8').split('\n')[3]);
    const admin = async () => {
      const client = await connect({ host: '127.0.0.1', port, database: 'postgres', user: 'supabase_admin', password });
      clients.push(client);
      return client;
    };
    const victim = await ordinary(port, password);
    clients.push(victim);
    lab = await prepare(await admin(), victim, pgData, 'postgres', await waysInto(box.sandbox, stack));
  });
  afterAll(async () => {
    await Promise.all(clients.map((each) => each.end().catch(() => undefined)));
    await box.close();
  });
  corpusOn('the sandbox', () => lab, ['session-pooler', 'meta', 'exec', 'bridge']);
});
