/** How long a bridge must stand for a database to be replaced through it. */
import { expect, test } from 'vitest';
import { requireLasting } from '../../src/effects/backup/restore-preflight.ts';

const minute = 60_000;
const at = (until: number | null) => ({ bridge: { url: 'https://bridge.example.com', until } });

test.each([
  [{}, undefined],
  [at(31 * minute), undefined],
  [at(30 * minute), undefined],
  [at(29.5 * minute), /must stand for 30 minutes more, and it ends in 29 minutes/],
  [at(-minute), /it ends in 0 minutes/],
  [at(null), /nobody noted when it ends/],
])('%o', (place, message) => {
  const asked = () => requireLasting(place, 0, 30 * minute);
  if (message === undefined) expect(asked).not.toThrow();
  else expect(asked).toThrowError(expect.objectContaining({ code: 'BRIDGE_ENDS_SOON', message: expect.stringMatching(message) }));
});
