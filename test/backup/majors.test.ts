/** Round trips through real servers of the majors that people run, judged by the catalog, by the texts of pg_dump, by what clients then read, and by hand. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startChild } from '../../src/effects/backup/child.ts';
import { compareCatalogs } from '../../src/effects/backup/compare-catalogs.ts';
import { stopFlags, wholeEnd } from '../../src/effects/backup/newer-client.ts';
import { catalogWithin } from '../../src/effects/backup/one-schema/within.ts';
import { pgClientFor } from '../../src/effects/backup/programs.ts';
import { packageFile } from '../../src/package-root.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { byHand, startTestPostgres, type TestPostgres, whyWithout, whyWithoutClients } from '../helpers/backup-postgres.ts';
import { majors } from '../helpers/databases.ts';
import { hostileSchemaSql } from '../helpers/hostile-schema.ts';
import { catalogOf, dumpText, takeBack } from '../helpers/restore-stage.ts';

const fixture = (name: string) => readFileSync(packageFile(`test/fixtures/${name}.sql`), 'utf8');
const withoutPrograms = whyWithout('pg_dump', 'pg_restore', 'gpg', 'zstd');

type Restored = { database: string; keptAs: string | null; createdRoles: string[]; proof: { differences: string[] } };

for (const from of majors)
  for (const to of majors) {
    const why = withoutPrograms ?? whyWithoutClients(from, to);
    describe.skipIf(why)(`a backup of Postgres ${from} for a server of ${to}${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
      roundTrip(from, to);
    });
  }

/** What Postgres 16 and newer write in other words than 15, although it is the same. */
const otherWords = ['view public.names: definition differs', 'materializedView public.per_mood: definition differs'];

const whyNotNewer = withoutPrograms ?? whyWithoutClients(17);
test.skipIf(whyNotNewer)(
  `pg_restore of Postgres 17 plays an archive into a server of 15, and what really fails is told${whyNotNewer === undefined ? '' : ` (skipped: ${whyNotNewer})`}`,
  async () => {
    const server = await startTestPostgres(15);
    try {
      await server.sql(fixture('nasty-schema'));
      const client = await pgClientFor('pg_restore', 17);
      const archive = execFileSync('pg_dump', ['-Fc', server.url()], { env: byHand(server), maxBuffer: 1e8 });
      const play = async (database: string) => {
        await server.sql(`create database ${database} template template0`);
        const child = startChild({ file: client.file, args: [...stopFlags(client, 15), `--dbname=${server.url(database)}`] });
        child.stdout.resume();
        child.stdin.end(archive);
        await wholeEnd(child.ended, client, 15);
      };
      await play('newer');
      expect(compareCatalogs(await catalogOf(server, 'postgres'), await catalogOf(server, 'newer')).differences).toEqual([]);
      await server.sql('alter role reporting rename to away');
      await expect(play('lacking')).rejects.toMatchObject({ code: 'PROGRAM_FAILED' });
    } finally {
      await server.stop();
    }
  },
  120_000,
);

function roundTrip(from: (typeof majors)[number], to: (typeof majors)[number]) {
  let source: TestPostgres;
  let empty: TestPostgres;
  let at: BackupApp;
  let id: string;
  beforeAll(async () => {
    [source, empty] = await Promise.all([startTestPostgres(from), startTestPostgres(to)]);
    await source.sql(fixture('nasty-schema'));
    await source.sql(hostileSchemaSql);
    if (from >= 17) await source.sql(fixture('nasty-schema-17'));
  }, 120_000);
  afterAll(async () => {
    await source?.stop();
    await empty?.stop();
  });
  beforeEach(async () => {
    at = await openBackupApp();
    await at.addTarget('shop', source.url());
    await at.addTarget('new', empty.url());
    const view = await at.run('backup', { target: 'shop' });
    expect(view.error).toBeUndefined();
    id = (view.output as { backup: string }).backup;
    expect((await at.app.verifyBackup(id)).id).toBe(id);
  }, 60_000);
  afterEach(async () => {
    await at?.close();
    if (at) removeHome(at.home);
  });
  const names = (server: TestPostgres) => server.sql('select datname from pg_database union all select rolname from pg_roles order by 1');

  if (to < from) {
    test('is refused before anything is made', async () => {
      const before = await names(empty);
      const view = await at.run('restore', { backup: id, target: 'new', into: 'back' });
      expect(view.error).toMatchObject({ code: 'SERVER_TOO_OLD', message: expect.stringContaining(`Postgres ${from}`) });
      expect(await names(empty)).toEqual(before);
    });
    return;
  }

  test('every kind of object comes back with zero differences, by catalog and by the text of pg_dump', async () => {
    const before = await names(empty);
    const asked = await at.run('restore', { backup: id, target: 'new', into: 'back' });
    expect([asked.state, asked.error]).toEqual(['review', undefined]);
    expect(await names(empty)).toEqual(before);
    const view = await at.send(asked.runId, 'approve');
    const output = view.output as Restored;
    expect([view.state, view.error, output.proof?.differences]).toEqual(['done', undefined, []]);
    expect(output.createdRoles).toEqual(expect.arrayContaining(['App Löwe', 'reporting']));
    const compared = compareCatalogs(await catalogOf(source, 'postgres'), await catalogOf(empty, 'back'));
    expect(compared.differences).toEqual(from === to ? [] : otherWords);
    expect(compared.objects).toBeGreaterThan(60);
    if (from === to) expect(dumpText(empty, 'back')).toBe(dumpText(source, 'postgres'));
    expect(await memberships(empty, from)).toEqual(await memberships(source, from));
    // The verifier came along: the password works on the new server.
    const login = new pg.Client({ connectionString: empty.url('back', encodeURIComponent('App Löwe'), `p"ass'word`) });
    await login.connect();
    expect((await login.query('show search_path')).rows[0].search_path).toBe('"Zürich ""x""", public');
    await login.end();
    // What nobody sees any more may be taken back: the database and the roles go, newest first.
    expect((await takeBack(at, asked.runId, 0)).status).toBe('cancelled');
    expect(await names(empty)).toEqual(before);
  }, 120_000);

  test('the database in use is replaced, and comes back when that is taken back', async () => {
    const marked = "select count(*)::int as n from pg_tables where tablename = 'was_here'";
    await empty.sql('create table public.was_here ()');
    const asked = await at.run('restore', { backup: id, target: 'new', mode: 'replace' });
    const ready = await at.send(asked.runId, 'approve');
    expect([ready.state, ready.error]).toEqual(['swapReview', undefined]);
    const view = await at.send(asked.runId, 'swap');
    const output = view.output as Restored;
    expect([view.state, view.error, output.proof?.differences]).toEqual(['done', undefined, []]);
    expect(await empty.sql('select email from auth.users')).toEqual([{ email: 'a@example.com' }]);
    expect(await empty.sql(marked, output.keptAs ?? '')).toEqual([{ n: 1 }]);
    await takeBack(at, asked.runId, 0);
    expect(await empty.sql(marked)).toEqual([{ n: 1 }]);
  }, 120_000);

  test('one schema of it takes the place of the one in use, with what was lost of it elsewhere, and comes back when that is taken back', async () => {
    const before = dumpText(empty, 'postgres');
    const asked = await at.run('restore', { backup: id, target: 'new', mode: 'schema', schema: 'public' });
    const ready = await at.send(asked.runId, 'approve');
    expect([ready.state, ready.error]).toEqual(['schemaReview', undefined]);
    const view = await at.send(asked.runId, 'exchange');
    expect([view.state, view.error]).toEqual(['done', undefined]);
    const within = async (server: TestPostgres) => catalogWithin(await catalogOf(server, 'postgres'), 'public', ['supabase_realtime']);
    const { differences, objects } = compareCatalogs(await within(source), await within(empty));
    expect(differences).toEqual(from === to ? [] : otherWords);
    expect(objects).toBeGreaterThan(30);
    const calls = "select tgfoid::regprocedure::text as calls from pg_trigger where tgname = 'on_auth_user_created'";
    expect(await empty.sql(calls)).toEqual([{ calls: 'on_auth_user()' }]);
    expect((await takeBack(at, asked.runId, 0)).status).toBe('cancelled');
    expect(dumpText(empty, 'postgres')).toBe(before);
  }, 120_000);

  test.runIf(from === to)(
    'by hand gpg, zstd and pg_restore make the same database of it',
    async () => {
      const [key] = await at.app.backups.keys();
      // Roles are the roles file's, which a person plays first.
      const pipe = (then: string) => `gpg --batch -q --pinentry-mode loopback --passphrase-fd 0 -d "$FILE" | zstd -dc | ${then}`;
      const open = async (file: string, then: string, database: string) =>
        execFileSync('bash', ['-o', 'pipefail', '-c', pipe(then)], {
          env: {
            ...byHand(empty),
            GNUPGHOME: at.home,
            FILE: join(at.home, 'backups', 'shop', id, file),
            URL: empty.url(database),
          },
          input: await at.app.vault.reveal(key?.secret ?? ''),
        });
      await open('roles.sql.zst.pgp', 'psql -q -v ON_ERROR_STOP=1 -o /dev/null "$URL"', 'postgres');
      await empty.sql('create database opened template template0');
      await open('database-0.dump.zst.pgp', 'pg_restore --exit-on-error -d "$URL"', 'opened');
      const { differences } = compareCatalogs(await catalogOf(source, 'postgres'), await catalogOf(empty, 'opened'));
      expect(differences).toEqual([]);
    },
    120_000,
  );

  // Other databases of Supabase are libc's; a person may have made one with the locales that Postgres 17 brings itself.
  test.runIf(from >= 17)(
    'a database keeps the provider of its locale',
    async () => {
      await source.sql("create database built template template0 locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'");
      await at.addTarget('built', source.url('built'));
      const made = await at.run('backup', { target: 'built', parts: ['database'] });
      const { backup } = made.output as { backup: string };
      const asked = await at.run('restore', { backup, target: 'new', database: 'built', into: 'built' });
      const view = await at.send(asked.runId, 'approve');
      expect([view.state, view.error, (view.output as Restored).proof.differences]).toEqual(['done', undefined, []]);
      const kept = "select datlocprovider as provider, datlocale as locale from pg_database where datname = 'built'";
      expect(await empty.sql(kept)).toEqual([{ provider: 'b', locale: 'C.UTF-8' }]);
    },
    60_000,
  );
}

/** Who is a member of what, and how; grantors differ by nature. */
async function memberships(server: TestPostgres, known: number): Promise<unknown[]> {
  const options = known >= 16 ? ', inherit_option, set_option' : '';
  return server.sql(
    `select roleid::regrole::text as role, member::regrole::text as member, admin_option ${options} from pg_auth_members
     where member::regrole::text !~ '^pg_' order by 1, 2, 3`,
  );
}
