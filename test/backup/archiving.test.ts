/** What a backup says of WAL archiving, on servers that are set up differently. */

import pg from 'pg';
import { expect, test } from 'vitest';
import { pointInTime } from '../../src/effects/backup/plan-backup.ts';
import { startTestPostgres } from '../helpers/backup-postgres.ts';

const base = 'a base backup of the whole server (pg_basebackup), which Capstan does not make';

/** Asked again until the archiver has come to what is waited for. */
async function toldOf(settings: Record<string, string>, until: (missing: readonly string[]) => boolean = () => true) {
  const server = await startTestPostgres(15, settings);
  const client = new pg.Client({ connectionString: server.url() });
  try {
    await client.connect();
    for (;;) {
      await client.query('select pg_switch_wal(), pg_stat_clear_snapshot()');
      await client.query('create temporary table if not exists some_wal as select 1'); // a segment without changes is not switched
      const told = await pointInTime(client);
      if (until(told.missing)) return told;
    }
  } finally {
    await client.end();
    await server.stop();
  }
}

test('a server that archives nothing, one that archives, and one whose archiver fails are told apart', async () => {
  expect(await toldOf({})).toEqual({
    archiving: false,
    missing: ['archive_mode is off', 'neither archive_command nor archive_library is set', base],
  });
  const on = { archive_mode: 'on' };
  expect(await toldOf({ ...on, archive_command: 'true' }, (missing) => missing.length === 1)).toEqual({ archiving: true, missing: [base] });
  const failing = await toldOf({ ...on, archive_command: 'false' }, ([first]) => first?.startsWith('the archiver fails') === true);
  expect(failing).toEqual({ archiving: false, missing: ['the archiver fails: pg_stat_archiver and the log of the server say why', base] });
}, 90_000);
