// README shows this file from the next line on, with `capstan-mcp/testing` and the user's own file as the sources.
import { expect, test } from 'vitest';
import { crashEverywhere, pathsThrough } from '../../src/testing/testing.ts';
import { tagRelease } from './tag-release.ts';

test('every state and transition is reached', () => {
  expect(pathsThrough(tagRelease).leftOut).toEqual([]);
});

test('no crash changes how it ends, nothing is done twice, and it can be rolled back', async () => {
  const { cases, differences, empty } = await crashEverywhere(tagRelease);
  expect({ differences, empty }).toEqual({ differences: [], empty: [] });
  expect(cases).toBeGreaterThan(100);
}, 120_000);
