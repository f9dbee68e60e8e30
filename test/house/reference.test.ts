import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { workflows } from '../../machines/registry.ts';
import { referenceOf } from '../../scripts/reference.mjs';
import { toJsonSchema } from '../../src/json-schema.ts';
import { everyToolset } from '../../src/mcp/toolset.ts';
import { packageFile } from '../../src/package-root.ts';

test('REFERENCE.md is what `npm run docs` makes of the tools and workflows as they are', () => {
  const written = readFileSync(packageFile('REFERENCE.md'), 'utf8').replaceAll('\r\n', '\n');
  expect(written).toBe(referenceOf({ toolsets: everyToolset, workflows: Object.values(workflows), toJsonSchema }));
});
