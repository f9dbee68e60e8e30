/** Access lists as Postgres writes them (such as `anon=ar*w/postgres`) as grants by name. Pure. */
import type { Grant } from './model.ts';
import { compareText } from './order.ts';

const privilegeNames: Readonly<Record<string, string>> = {
  r: 'SELECT',
  a: 'INSERT',
  w: 'UPDATE',
  d: 'DELETE',
  D: 'TRUNCATE',
  x: 'REFERENCES',
  t: 'TRIGGER',
  m: 'MAINTAIN',
  X: 'EXECUTE',
  U: 'USAGE',
  C: 'CREATE',
  c: 'CONNECT',
  T: 'TEMPORARY',
  s: 'SET',
  A: 'ALTER SYSTEM',
};

/** One grant per role, sorted by role; who granted it is left out, since it differs between equal databases. Throws a TypeError on what is no access item. */
export function parseGrants(items: readonly string[]): Grant[] {
  const byRole = new Map<string, { privileges: Set<string>; grantable: Set<string> }>();
  for (const item of items) {
    const { to, codes } = parseItem(item);
    const held = byRole.get(to) ?? { privileges: new Set<string>(), grantable: new Set<string>() };
    byRole.set(to, held);
    for (const [, code = '', star] of codes.matchAll(/([A-Za-z])(\*?)/g)) {
      const name = privilegeNames[code] ?? code;
      held.privileges.add(name);
      if (star) held.grantable.add(name);
    }
  }
  return [...byRole]
    .map(([to, { privileges, grantable }]) => ({ to, privileges: [...privileges].sort(), grantable: [...grantable].sort() }))
    .filter(({ privileges }) => privileges.length > 0)
    .sort((a, b) => compareText(a.to, b.to));
}

/** The name before `=` is quoted where it needs it, with quotes in it doubled. */
function parseItem(item: string): { to: string; codes: string } {
  const quoted = /^"((?:[^"]|"")*)"=([A-Za-z*]*)(?:\/|$)/s.exec(item);
  if (quoted) return { to: (quoted[1] ?? '').replaceAll('""', '"'), codes: quoted[2] ?? '' };
  const plain = /^([^"=]*)=([A-Za-z*]*)(?:\/|$)/s.exec(item);
  if (!plain) throw new TypeError('not an access item of Postgres');
  return { to: plain[1] === '' || plain[1] === undefined ? 'public' : plain[1], codes: plain[2] ?? '' };
}
