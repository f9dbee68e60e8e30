/** Which backups a policy lets go, as tables; and that the workflow takes nothing else with it. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expired } from '../../src/effects/backup/retention.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';

const day = 24 * 60 * 60_000;
const now = Date.parse('2026-11-25T12:00:00Z'); // a Wednesday
const made = (ages: readonly number[], target = 'a', verified: readonly number[] = ages) =>
  ages.map((age) => ({ id: `${target}${age}`, target, madeAt: now - age * day, verifiedAt: verified.includes(age) ? now : null }));
const gone = (...args: Parameters<typeof expired>) => expired(...args).map(({ id }) => id);

describe('the policy', () => {
  test.each([
    ['nothing without a rule', {}, []],
    ['all but the last two', { keepLast: 2 }, ['a2', 'a3', 'a10', 'a40', 'a80']],
    ['what is older than four days', { keepDays: 4 }, ['a10', 'a40', 'a80']],
    ['all but the newest of two days', { daily: 2 }, ['a2', 'a3', 'a10', 'a40', 'a80']],
    // a0, a1 and a2 are in the week from Monday 23 November, a3 (Sunday) in the one before, a10 in the next one back.
    ['all but the newest of two weeks', { weekly: 2 }, ['a1', 'a2', 'a10', 'a40', 'a80']],
    ['all but the newest of two months', { monthly: 2 }, ['a1', 'a2', 'a3', 'a10', 'a80']],
    ['what no rule keeps', { keepLast: 1, weekly: 3, monthly: 3 }, ['a1', 'a2']],
  ] as const)('lets go %s', (_, policy, ids) => {
    expect(gone(made([0, 1, 2, 3, 10, 40, 80]), policy, now)).toEqual(ids);
  });

  test('keeps the newest verified one of each target, however old', () => {
    expect(gone([...made([1, 5, 9], 'a', [9]), ...made([300], 'b', [])], { keepLast: 1 }, now)).toEqual(['a5']);
  });

  test('never lets a target go empty, and is idempotent', () => {
    const rows = fc.array(fc.record({ age: fc.integer({ min: 0, max: 800 }), target: fc.constantFrom('a', 'b'), verified: fc.boolean() }), {
      maxLength: 40,
    });
    const rule = fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined });
    const policy = fc.record({ keepLast: rule, keepDays: rule, daily: rule, weekly: rule, monthly: rule });
    fc.assert(
      fc.property(rows, policy, (list, rules) => {
        const all = list.map(({ age, target, verified }, index) => ({
          id: `${index}`,
          target,
          madeAt: now - age * day,
          verifiedAt: verified ? now : null,
        }));
        const going = new Set(expired(all, rules, now).map(({ id }) => id));
        const left = all.filter(({ id }) => !going.has(id));
        expect(new Set(left.map(({ target }) => target))).toEqual(new Set(all.map(({ target }) => target)));
        expect(expired(left, rules, now)).toEqual([]);
      }),
    );
  });
});

const why = whyWithout('pg_dump', 'zstd');
describe('cleanup-backups', () => {
  let postgres: TestPostgres;
  let at: BackupApp;
  beforeAll(async () => {
    if (why) return;
    postgres = await startTestPostgres();
    at = await openBackupApp();
    await at.addTarget('shop', postgres.url());
  }, 60_000);
  afterAll(async () => {
    await at?.close();
    if (at) removeHome(at.home);
    await postgres?.stop();
  });

  test.skipIf(why)(
    'shows what goes, waits for a person, and leaves strange files where they are',
    async () => {
      const ids: string[] = [];
      for (let i = 0; i < 3; i++)
        ids.push(((await at.run('backup', { target: 'shop', kind: 'schema' })).output as { backup: string }).backup);
      const folder = join(at.home, 'backups', 'shop');
      writeFileSync(join(folder, ids[0] ?? '', 'mine.txt'), 'a file of somebody else');
      const asked = await at.run('cleanup-backups', { target: 'shop', keepLast: 1 });
      expect([asked.state, asked.waitingFor[0]?.confirm !== undefined]).toEqual(['review', true]);
      expect(readdirSync(folder).sort()).toEqual([...ids].sort());
      const view = await at.send(asked.runId, 'approve');
      expect([view.state, (view.output as { removed: string[] }).removed.sort()]).toEqual(['done', ids.slice(0, 2).sort()]);
      expect(readdirSync(folder).sort()).toEqual([ids[0], ids[2]].sort());
      expect(readdirSync(join(folder, ids[0] ?? ''))).toEqual(['mine.txt']);
      expect((await at.app.listBackups()).map(({ id }) => id)).toEqual([ids[2]]);
      expect((await at.run('cleanup-backups', { target: 'shop', keepLast: 1 })).state).toBe('done');
      expect((await at.run('cleanup-backups', { target: 'shop' })).error?.code).toBe('POLICY_EMPTY');
    },
    90_000,
  );
});
