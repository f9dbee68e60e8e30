import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { readOnlyRole, superuserRole, type Ways, waysFor } from '../../src/effects/postgres/ladder.ts';
import { encryptConnection } from '../../src/effects/postgres/meta-cipher.ts';
import { type Purpose, purposes } from '../../src/effects/postgres/session.ts';
import { decryptConnection } from '../../src/sandbox/gateway/meta.ts';

const at = (user: string, mode: 'direct' | 'session' | 'transaction' = 'direct', role = user) => ({ host: 'h', user, mode, role });
const stock: Ways = {
  addresses: [],
  meta: { logins: [{ role: readOnlyRole }, { role: 'postgres' }, { role: superuserRole }] },
  exec: true,
  bridge: { logins: [{ role: readOnlyRole }, { role: 'postgres' }, { role: superuserRole }] },
};
const everything: Ways = {
  ...stock,
  addresses: [
    at(superuserRole),
    at('postgres'),
    at(readOnlyRole),
    at('postgres.t', 'session', 'postgres'),
    at('postgres.t', 'transaction', 'postgres'),
  ],
};
const short = (purpose: Purpose, ways: Ways) => waysFor(purpose, ways).ways.map(({ rung, role }) => `${rung}:${role ?? 'own'}`);

describe('which way SQL goes', () => {
  test.each<[Purpose, Ways, string[]]>([
    [
      'model-read',
      everything,
      [
        'direct:supabase_read_only_user',
        'direct:postgres',
        'session-pooler:postgres',
        'meta:supabase_read_only_user',
        'meta:postgres',
        'bridge:supabase_read_only_user',
        'bridge:postgres',
        'exec:supabase_read_only_user',
        'exec:postgres',
      ],
    ],
    [
      'model-write',
      everything,
      [
        'direct:postgres',
        'direct:supabase_read_only_user',
        'session-pooler:postgres',
        'meta:postgres',
        'meta:supabase_read_only_user',
        'bridge:postgres',
        'bridge:supabase_read_only_user',
        'exec:postgres',
      ],
    ],
    [
      'dump',
      everything,
      [
        'direct:postgres',
        'direct:supabase_admin',
        'direct:supabase_read_only_user',
        'session-pooler:postgres',
        'bridge:postgres',
        'bridge:supabase_admin',
        'bridge:supabase_read_only_user',
      ],
    ],
    [
      'admin',
      stock,
      [
        'meta:own',
        'meta:supabase_admin',
        'meta:postgres',
        'meta:supabase_read_only_user',
        'bridge:supabase_admin',
        'bridge:postgres',
        'bridge:supabase_read_only_user',
        'exec:supabase_admin',
        'exec:postgres',
      ],
    ],
    ['read', { addresses: [], meta: { logins: [] } }, ['meta:own']],
    ['model-read', { addresses: [], meta: { logins: [] } }, []],
    ['model-read', { addresses: [at(superuserRole)] }, []],
    ['model-read', { addresses: [at(superuserRole)], superuserSql: true }, ['direct:supabase_admin']],
    ['ddl', { addresses: [at('postgres.t', 'transaction', 'postgres')] }, []],
  ])('%s over %o', (purpose, ways, expected) => {
    expect(short(purpose, ways)).toEqual(expected);
  });

  test('no purpose ever gets the transaction pooler, and only our own SQL a superuser', () => {
    for (const purpose of purposes) {
      const { ways } = waysFor(purpose, everything);
      expect(ways.some((way) => 'index' in way && way.index === 4)).toBe(false);
      const superuser = ways.some(({ role, rung }) => role === superuserRole || (rung === 'meta' && role === null));
      expect(superuser, purpose).toBe(purpose === 'read' || purpose === 'watch' || purpose === 'admin' || purpose === 'dump');
    }
  });

  test('what is left out leaves its reason', () => {
    expect(waysFor('model-read', { addresses: [at('x', 'transaction')], meta: { logins: [] } }).leftOut).toEqual([
      'There is no address of the database itself.',
      expect.stringContaining('transaction mode was left out'),
      'There is no pooler in session mode.',
      expect.stringContaining('needs PG_META_CRYPTO_KEY'),
      expect.stringContaining('install-bridge'),
      expect.stringContaining('needs a service on a Dokploy'),
    ]);
  });
});

test('the header for meta is what CryptoJS and OpenSSL open', () => {
  const text = 'postgresql://postgres:p%40ss@db:5432/postgres?options=-c%20statement_timeout%3D30000 ü';
  const sealed = encryptConnection(text, 'a-key-of-32-characters-or-so-é');
  expect(decryptConnection(sealed, 'a-key-of-32-characters-or-so-é')).toBe(text);
  const opened = execFileSync(
    'openssl',
    ['enc', '-d', '-aes-256-cbc', '-md', 'md5', '-a', '-A', '-pass', 'pass:a-key-of-32-characters-or-so-é'],
    { input: sealed, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  expect(opened.toString()).toBe(text);
  expect(encryptConnection(text, 'k')).not.toBe(encryptConnection(text, 'k'));
});
