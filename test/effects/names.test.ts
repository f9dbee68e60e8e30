import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameFault, projectName, reservedNames, suggestFreeName, suggestName } from '../../machines/effects/project-name.ts';

describe('project names', () => {
  it.each([
    ['shop', null],
    ['a', null],
    ['a-2-b', null],
    ['a'.repeat(32), null],
    ['a'.repeat(33), '33 characters'],
    ['My Project', 'is not a project name'],
    ['1abc', 'is not a project name'],
    ['-a', 'is not a project name'],
    ['a_b', 'is not a project name'],
    ['', 'is not a project name'],
    ['postgres', 'reserved'],
    ['root', 'reserved'],
  ])('%j is judged as it should be', (name, fault) => {
    const found = nameFault(name);
    if (fault === null) expect(found).toBeNull();
    else expect(found).toContain(fault);
  });

  it.each([
    ['My Project', 'my-project'],
    ['1abc', 'p1abc'],
    ['postgres', 'postgres-app'],
    ['Crème Brûlée!', 'creme-brulee'],
    ['  --x--  ', 'x'],
    ['', 'my-project'],
    ['日本', 'my-project'],
  ])('for %j it suggests %j', (text, suggestion) => {
    expect(suggestName(text)).toBe(suggestion);
  });

  it('suggests an allowed name for any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => nameFault(suggestName(text)) === null));
  });

  it('leaves an allowed name as it is, but for a trailing hyphen', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z][a-z0-9-]{0,30}[a-z0-9]$/), (name) => {
        fc.pre(!reservedNames.includes(name) && !name.includes('--'));
        expect(suggestName(name)).toBe(name);
      }),
    );
  });

  it('finds a free variant within 32 characters', () => {
    const long = 'a'.repeat(32);
    expect(suggestFreeName('shop', new Set(['shop', 'shop-2']))).toBe('shop-3');
    expect(suggestFreeName(long, new Set([long]))).toBe(`${'a'.repeat(30)}-2`);
  });

  it('puts the suggestion into the refusal', () => {
    const bad = projectName.safeParse('My Project');
    expect(bad.error?.issues[0]?.message).toContain('Try "my-project".');
    expect(projectName.safeParse('supabase').error?.issues[0]?.message).toContain('reserved name. Try "supabase-app".');
  });
});
