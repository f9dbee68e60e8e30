import { expect, test } from 'vitest';
import { computeGolden, readGolden } from '../../scripts/golden.mjs';

test('a changed machine or contract was decided on: revision raised or behaviour the same, then `npm run golden` (V1)', async () => {
  expect(await computeGolden()).toEqual(readGolden());
});
