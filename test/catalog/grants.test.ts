import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseGrants } from '../../src/catalog/grants.ts';

test.each([
  [['=r/postgres'], [{ to: 'public', privileges: ['SELECT'], grantable: [] }]],
  [['anon=ar*w/postgres'], [{ to: 'anon', privileges: ['INSERT', 'SELECT', 'UPDATE'], grantable: ['SELECT'] }]],
  [
    ['b=r/x', 'a=w/x', 'b=w*/y'],
    [
      { to: 'a', privileges: ['UPDATE'], grantable: [] },
      { to: 'b', privileges: ['SELECT', 'UPDATE'], grantable: ['UPDATE'] },
    ],
  ],
  [['"a=b/postgres"=m/postgres'], [{ to: 'a=b/postgres', privileges: ['MAINTAIN'], grantable: [] }]],
  [['"we""ird"=U/"x/y"'], [{ to: 'we"ird', privileges: ['USAGE'], grantable: [] }]],
  // Everything revoked from the owner: the item stands there without a privilege, and grants nothing.
  [['postgres=/postgres'], []],
  [[], []],
])('%j', (items, grants) => expect(parseGrants(items)).toEqual(grants));

test('any role name comes back as it is, whatever it tries to look like', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: 'binary' }),
      fc.subarray(['SELECT', 'INSERT', 'EXECUTE'], { minLength: 1 }),
      (role, wanted) => {
        const codes = { SELECT: 'r', INSERT: 'a', EXECUTE: 'X' } as Record<string, string>;
        const item = `"${role.replaceAll('"', '""')}"=${wanted.map((each) => codes[each]).join('')}/postgres`;
        expect(parseGrants([item])).toEqual([{ to: role, privileges: [...wanted].sort(), grantable: [] }]);
      },
    ),
  );
});

test('what is no access item is refused, never read as less', () => {
  for (const item of ['', 'anon', '"anon=r/x', 'a"b=r/x']) expect(() => parseGrants([item])).toThrow(TypeError);
});
