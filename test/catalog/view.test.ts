import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeCatalog } from '../../src/catalog/markdown.ts';
import type { Catalog, Relation } from '../../src/catalog/model.ts';
import { quoted, readings, written } from '../../src/catalog/names.ts';
import { linesFor, pageOf, schemaLines } from '../../src/catalog/view.ts';
import { hostile, injection } from '../helpers/hostile-schema.ts';

const relation = (name: string, schema = 'public', change: Partial<Relation> = {}): Relation => ({
  schema,
  name,
  kind: 'table',
  owner: 'postgres',
  persistence: 'permanent',
  rowSecurity: 'off',
  replicaIdentity: 'default',
  options: [],
  inherits: [],
  columns: [{ name: 'id', type: 'bigint', notNull: true, grants: [] }],
  constraints: [],
  indexes: [],
  policies: [],
  triggers: [],
  rules: [],
  grants: [],
  measured: {},
  ...change,
});

const catalogOf = (relations: Relation[]): Catalog => ({
  server: { version: 170_000, database: 'postgres', encoding: 'UTF8', collation: 'C', characterType: 'C' },
  schemas: [...new Set(['public', 'auth', ...relations.map(({ schema }) => schema)])].map((name) => ({
    name,
    owner: 'postgres',
    grants: [],
  })),
  relations,
  routines: [],
  types: [],
  sequences: [],
  extensions: [],
  publications: [],
  defaultPrivileges: [],
  eventTriggers: [],
  roles: [],
  others: [],
});

describe('names', () => {
  test('a name that is no plain word is quoted as SQL does, and read back as it was', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (schema, name) => {
        const text = written({ schema: `${schema}"`, name: `${name}"` });
        expect(readings(text)[0]).toEqual({ schema: `${schema}"`, name: `${name}"` });
        expect(readings(quoted(name)).map((each) => each.name)).toContain(name);
      }),
    );
  });

  test('a bare name is looked for as it is, dots and quotes included', () => {
    const catalog = catalogOf([relation('a.b'), relation('b', 'a'), relation(hostile.table, hostile.schema)]);
    expect(linesFor(catalog, { object: 'a.b' })[0]).toMatchObject({ table: 'a.b' });
    expect(linesFor(catalog, { object: '"a.b"' })[0]).toMatchObject({ table: 'public."a.b"' });
    expect(linesFor(catalog, { object: hostile.table })[0]).toMatchObject({ table: '"we""ird.schema"."orders""; drop table users; --"' });
    expect(() => linesFor(catalog, { object: 'B' })).toThrow(
      expect.objectContaining({ code: 'OBJECT_UNKNOWN', details: { near: expect.arrayContaining(['a.b', 'public."a.b"']) } }),
    );
    expect(() => linesFor(catalog, { schema: 'nope' })).toThrow(expect.objectContaining({ code: 'SCHEMA_UNKNOWN' }));
  });
});

describe('what is shown', () => {
  test('schemas of Supabase are counted, and shown only when named', () => {
    const catalog = catalogOf([relation('mine'), relation('users', 'auth')]);
    expect(linesFor(catalog, {}).map((line) => line['table'])).toEqual(['public.mine']);
    expect(linesFor(catalog, { schema: 'auth' }).map((line) => line['table'])).toEqual(['auth.users']);
    expect(schemaLines(catalog)).toContainEqual({ schema: 'auth', owner: 'postgres', tables: 1, managed: true });
  });

  test('a column cannot pass for two, nor a name for a type', () => {
    const columns = [{ name: 'id text, admin boolean', type: 'integer', notNull: true, grants: [] }];
    expect(linesFor(catalogOf([relation('t', 'public', { columns })]), {})[0]?.['columns']).toBe('"id text, admin boolean" integer');
  });

  test('a table of 1,600 columns and a comment of a megabyte stay short, and say what is left out', () => {
    const columns = Array.from({ length: 1_600 }, (_, index) => ({ name: `column_${index}`, type: 'integer', notNull: true, grants: [] }));
    const [line] = linesFor(catalogOf([relation('wide', 'public', { columns, comment: 'x'.repeat(1_000_000) })]), {});
    expect(JSON.stringify(line).length).toBeLessThan(5_000);
    expect(line).toMatchObject({
      columns: expect.stringMatching(/more characters\)$/),
      comment: expect.stringContaining('999800 more characters'),
    });
  });
});

describe('pages', () => {
  test('together they are everything once, in order, each within its bytes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 60 }), fc.integer({ min: 40, max: 400 }), (names, maxBytes) => {
        const lines = names.map((name) => ({ table: name }));
        const seen: unknown[] = [];
        let cursor: string | undefined;
        do {
          const page = pageOf(lines, cursor, maxBytes);
          expect(page.total).toBe(lines.length);
          if (page.lines.length > 1)
            expect(Buffer.byteLength(page.lines.map((line) => JSON.stringify(line)).join('\n'))).toBeLessThanOrEqual(maxBytes);
          seen.push(...page.lines);
          cursor = page.nextCursor;
        } while (cursor !== undefined);
        expect(seen).toEqual(lines);
      }),
    );
  });

  test('a table made between two pages shifts nothing, and a dropped one costs at most itself', () => {
    const lines = ['b', 'c', 'd', 'e'].map((table) => ({ table }));
    const { nextCursor } = pageOf(lines, undefined, 34);
    expect(pageOf([{ table: 'a' }, ...lines], nextCursor, 1_000).lines).toEqual([{ table: 'd' }, { table: 'e' }]);
    expect(
      pageOf(
        lines.filter(({ table }) => table !== 'c'),
        nextCursor,
        1_000,
      ).lines,
    ).toEqual([{ table: 'e' }]);
  });

  test('a cursor of somebody else is refused, whatever it holds', () => {
    for (const cursor of ['', 'x', Buffer.from('[-1,"a"]').toString('base64url'), Buffer.from('{}').toString('base64url')])
      expect(() => pageOf([{ a: 1 }], cursor, 100)).toThrow(expect.objectContaining({ code: 'CURSOR_INVALID' }));
  });
});

describe('the Markdown document', () => {
  test('no name or comment becomes a heading, a link, a picture, HTML or a cell of its own', () => {
    const evil = [
      '# Heading',
      '[click](https://evil.example)',
      '![x](https://evil.example/p.png)',
      '<img src=x onerror=alert(1)>',
      'a | b',
      '`code`',
      'one\n\n# two',
      injection,
    ];
    const text = describeCatalog(
      catalogOf(
        evil.map((name) =>
          relation(name, 'public', {
            comment: name,
            columns: [{ name, type: name, notNull: true, default: name, comment: name, grants: [] }],
            policies: [{ name, permissive: true, command: 'all', roles: [name], using: name }],
          }),
        ),
      ),
    );
    const lines = text.split('\n');
    expect(
      lines
        .filter((line) => /^#/.test(line))
        .every((line) => /^(# Database schema|## Schema `public`|## Schema `auth`|### Table (`|``))/.test(line)),
    ).toBe(true);
    // Outside of code spans nothing is left that Markdown or HTML would act on.
    const prose = text.replaceAll(/(`+)[^\n]*?[^`]\1(?!`)/g, '');
    expect(prose).not.toMatch(/(?<!\\)[[\]<]/);
    expect(prose).not.toMatch(/https?:/);
    for (const line of lines.filter((each) => each.startsWith('|') && !each.startsWith('|---')))
      expect(line.replaceAll('\\|', '').split('|')).toHaveLength(6);
  });
});
