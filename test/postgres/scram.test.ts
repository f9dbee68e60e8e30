import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fitsVerifier, scramVerifier } from '../../src/effects/postgres/scram.ts';
import { majors, startServer, type TestServer, urlOf } from '../helpers/databases.ts';

describe.each(majors)('a verifier made here, on Postgres %i', (major) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(major);
  });
  afterAll(() => server.stop());

  test('lets its password in and no other; one that the server made is recognised', async () => {
    const admin = await server.admin();
    const login = async (password: string) => {
      const client = new pg.Client({ connectionString: urlOf({ ...server, password }, 'supabase_read_only_user') });
      try {
        await client.connect();
        return (await client.query('select current_user as who')).rows[0]?.who;
      } catch (error) {
        return Reflect.get(Object(error), 'code');
      } finally {
        await client.end();
      }
    };
    await admin.query(`alter role supabase_read_only_user password '${scramVerifier('made-here-123')}'`);
    expect(await login('made-here-123')).toBe('supabase_read_only_user');
    expect(await login('made-here-124')).toBe('28P01');
    await admin.query("alter role supabase_read_only_user password 'made-there-123'");
    const kept = String((await admin.query("select rolpassword as v from pg_authid where rolname = 'supabase_read_only_user'")).rows[0]?.v);
    expect([fitsVerifier('made-there-123', kept), fitsVerifier('made-here-123', kept)]).toEqual([true, false]);
  });
});

test('what is no verifier of ours fits nothing', () => {
  for (const verifier of ['', 'md5abc', 'SCRAM-SHA-256$x:y$z', 'SCRAM-SHA-256$0:AAAA$z:z', 'SCRAM-SHA-256$4096:AAAA$'])
    expect(fitsVerifier('password', verifier), verifier).toBe(false);
  expect(() => scramVerifier('with ü')).toThrow(TypeError);
});
