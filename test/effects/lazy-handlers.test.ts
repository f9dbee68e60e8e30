/** The list of what handlers can do stands apart from their code: here the two are compared. */
import { expect, test } from 'vitest';
import { createHandlers } from '../../src/effects/handlers.ts';
import { abilities, lazyHandlers } from '../../src/effects/lazy-handlers.ts';

const deps = {
  limiterFor: () => {
    throw new Error('nothing is called here');
  },
};
const partsOf = (handler: object) =>
  Object.entries(handler)
    .filter(([, part]) => part !== undefined)
    .map(([name]) => name)
    .sort();

test('every handler has exactly the parts that the list says, and a lazy one looks the same', () => {
  const handlers = Object.entries(createHandlers(deps));
  const said = Object.fromEntries(Object.entries(abilities).map(([name, parts]) => [name, ['run', ...parts].sort()]));
  expect(said).toEqual(Object.fromEntries(handlers.map(([name, handler]) => [name, partsOf(handler)])));
  const lazy = lazyHandlers(async () => createHandlers(deps));
  expect(Object.fromEntries(Object.entries(lazy).map(([name, handler]) => [name, partsOf(handler)]))).toEqual(said);
});

test('the code is loaded by the first call, once, and again after it could not be', async () => {
  let loads = 0;
  const lazy = lazyHandlers(async () => {
    loads += 1;
    if (loads === 1) throw new Error('the disk is away');
    return { ...createHandlers(deps), 'smtp.verify@1': { run: async (_: unknown, input: unknown) => ({ got: input }) } };
  });
  const run = lazy['smtp.verify@1'].run as unknown as (...args: unknown[]) => Promise<unknown>;
  await expect(run({}, 'x', null)).rejects.toThrow('the disk is away');
  expect(await run({}, 'x', null)).toEqual({ got: 'x' });
  expect(await run({}, 'y', null)).toEqual({ got: 'y' });
  expect(loads).toBe(2);
});
