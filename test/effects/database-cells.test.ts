/** What a change inside the database is made of: verifiers, sealed passwords, statements. Pure. */
import { expect, test } from 'vitest';
import { type Cell, judgeCell, nameOf, readCellsSql, shownOf, writeCellsSql } from '../../src/effects/change/database/cells.ts';
import { openFromPooler, sealForPooler } from '../../src/effects/change/database/pooler-vault.ts';
import { isPasswordOf, makeVerifier } from '../../src/effects/change/database/scram.ts';
import { replacePassword } from '../../src/effects/change/embedded-password.ts';
import { parseSql } from '../../src/effects/postgres/parse-sql.ts';
import { decryptPassword, encryptPassword } from '../../src/sandbox/pooler/vault.ts';
import { isPasswordOf as isPasswordThere } from '../../src/sandbox/pooler/verifier.ts';

test.each([
  // Salt, iterations and keys of RFC 7677's example.
  [
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    'pencil',
    true,
  ],
  [
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    'Pencil',
    false,
  ],
  ['md55bb69a7bb9dca4e9ff3d2e3b4d4c5a9f', 'pencil', false],
  ['SCRAM-SHA-256$x', 'pencil', false],
  ['', '', false],
])('%s is the password of %s: %s', (verifier, password, is) => {
  expect(isPasswordOf(verifier, password, 'user')).toBe(is);
});

test('a verifier of our own is read by another reader, has a salt of its own, and RFC 7677’s comes out of its salt', () => {
  const [one, other] = [makeVerifier('secret'), makeVerifier('secret')];
  expect(one).not.toBe(other);
  expect([isPasswordThere(one, 'secret'), isPasswordThere(one, 'Secret')]).toEqual([true, false]);
  expect(makeVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

test('what is sealed for the pooler opens there and the other way round, with the same key only', () => {
  const [key, another] = ['k'.repeat(32), 'o'.repeat(32)];
  expect(decryptPassword(Buffer.from(sealForPooler('pä ss', key), 'hex'), key)).toBe('pä ss');
  const there = encryptPassword('pä ss', key).toString('hex');
  expect([openFromPooler(there, key), openFromPooler(there, another), openFromPooler('00ff', key), openFromPooler('', key)]).toEqual([
    'pä ss',
    undefined,
    undefined,
    undefined,
  ]);
  expect(() => sealForPooler('x', 'short')).toThrow(expect.objectContaining({ code: 'VAULT_KEY_UNUSABLE' }));
});

const cells: Cell[] = [
  { kind: 'role', role: `o'"dd`, before: null, after: 'SCRAM-SHA-256$4096:a$b:c' },
  { kind: 'tenant', tenant: `a'; drop table x --\\`, column: 'default_pool_size', before: '20', after: '30' },
  { kind: 'poolerUser', id: '9f1b8f4e-6f0c-4bfa-8a3b-0d3a0b6d2a55', user: 'pgbouncer', before: '00', after: 'ff' },
];

test('statements parse whatever the names hold, and the write is one block that looks first', async () => {
  expect((await parseSql(readCellsSql(cells))).texts).toHaveLength(1);
  const write = writeCellsSql(cells.map((cell) => ({ cell, found: cell.before, wanted: cell.after })));
  expect((await parseSql(write)).texts).toHaveLength(1);
  expect(write).toMatch(/if exists[\s\S]*raise exception[\s\S]*alter role "o'""dd" password/);
});

test('a value is the earlier, the planned or somebody else’s; sizes are shown, secrets never', () => {
  const [role, tenant] = cells as [Cell, Cell];
  expect([null, 'SCRAM-SHA-256$4096:a$b:c', 'other'].map((found) => judgeCell(role, found))).toEqual(['before', 'after', 'foreign']);
  expect([shownOf(role, role.after), shownOf(role, null), shownOf(tenant, '30')]).toEqual(['(secret)', '(none)', '30']);
  expect(cells.map(nameOf).join()).not.toMatch(/SCRAM|ff/);
});

test.each([
  ['a URL of the environment', 'A=postgres://u:old@db/x\n', 'A=postgres://u:new@db/x\n'],
  ['a URL with the password encoded', 'A=postgres://u:p%40ss@db/x\n', 'A=postgres://u:new@db/x\n', 'p@ss'],
  ['a variable that is a database password', 'DB_PASSWORD=old\n', 'DB_PASSWORD=new\n'],
  ['another variable with the same value', 'SMTP_PASS=old\n', 'SMTP_PASS=old\n'],
  ['the word elsewhere', 'NOTE=the old one\nB=old\n', 'NOTE=the old one\nB=old\n'],
])('%s', (_what, env, wanted, present = 'old') => {
  const { env: text } = replacePassword({ env, compose: '', mounts: [] }, { present, password: 'new' });
  expect(text).toBe(wanted);
});

test('compose file and mounted files go along, and what embeds it is named', () => {
  const mount = { mountId: 'm', type: 'file', filePath: 'a.yml', content: 'url: x://u:old@db', mountPath: '' };
  const replaced = replacePassword(
    { env: 'A=x://u:old@db', compose: '# c\nX: x://u:old@db', mounts: [mount, { ...mount, mountId: 'n', filePath: 'b', content: 'old' }] },
    { present: 'old', password: 'new' },
  );
  expect(replaced).toEqual({
    env: 'A=x://u:new@db',
    compose: '# c\nX: x://u:new@db',
    files: [{ mountId: 'm', filePath: 'a.yml', before: 'url: x://u:old@db', after: 'url: x://u:new@db' }],
    embedded: ['A', 'docker-compose.yml', 'a.yml'],
  });
});
