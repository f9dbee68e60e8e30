import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withTable } from '../../scripts/tools-table.mjs';
import { everyToolset } from '../../src/mcp/toolset.ts';
import { packageFile } from '../../src/package-root.ts';

const readme = readFileSync(packageFile('README.md'), 'utf8').replaceAll('\r\n', '\n');

test('the tools table is the one that `npm run docs` makes', () => {
  expect(readme).toBe(withTable(readme, everyToolset));
});

test('every npm command that README names exists', () => {
  const { scripts } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { scripts: Record<string, string> };
  const named = [...readme.matchAll(/npm run (\w[\w:]*)/g)].map((match) => match[1] ?? '');
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});
