import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ConnectionFacts, connectionReport, holders } from '../../src/activity/connections.ts';
import { serviceOf } from '../../src/activity/services.ts';
import { statisticsFacts, statisticsReport } from '../../src/activity/statistics.ts';

describe('whose connection it is', () => {
  test.each([
    ['authenticator', 'PostgREST 14.12', 'postgres', 'rest'],
    ['supabase_auth_admin', '', 'postgres', 'auth'],
    ['supabase_storage_admin', 'anything', 'postgres', 'storage'],
    ['supabase_admin', 'Supavisor', 'postgres', 'supavisor'],
    ['supabase_admin', 'Supavisor', '_supabase', 'supavisor'],
    ['supabase_admin', '', '_supabase', 'analytics'],
    ['supabase_admin', 'realtime_rls', 'postgres', 'realtime'],
    ['supabase_admin', 'postgres-meta 0.96.6', 'postgres', 'meta'],
    ['supabase_admin', 'psql', 'postgres', 'supabase_admin'],
    ['pgbouncer', '', 'postgres', 'supavisor'],
    ['postgres', 'capstan', 'postgres', 'capstan'],
    ['postgres', 'my-app', 'postgres', 'application'],
    [null, '', null, 'application'],
    ['constructor', '__proto__', 'postgres', 'application'],
  ])('%s %j in %s is %s', (role, program, database, service) => expect(serviceOf({ role, program, database })).toBe(service));
});

const group = (role: string, program: string, state: string, count: number): ConnectionFacts['groups'][number] => ({
  role,
  program,
  database: 'postgres',
  state,
  count,
  longestInStateSeconds: 5,
  longestTransactionSeconds: null,
  isOurs: false,
});
const facts = (...groups: ConnectionFacts['groups']): ConnectionFacts => ({ complete: true, maxConnections: 100, reserved: 3, groups });
const known = { known: true as const, poolSize: 20, maxClients: 100, users: 1 };

describe('how near the end it is', () => {
  test.each([
    [72, 'ok'],
    [73, 'watch'],
    [87, 'watch'],
    [88, 'alert'],
    [97, 'alert'],
  ])('%i of 97 usable is %s', (count, level) => {
    const report = connectionReport(facts(group('supabase_admin', 'Supavisor', 'idle', count)), known, true);
    expect(report).toMatchObject({ level, current: count });
    expect(report.recommendations.length > 0).toBe(level !== 'ok');
  });

  test('the pool is made smaller only as far as it helps, and never below five', () => {
    const sized = (pool: number, others: number) =>
      connectionReport(
        facts(group('supabase_admin', 'Supavisor', 'idle', pool), group('postgres', 'app', 'idle', others)),
        known,
        true,
      ).recommendations.flatMap(({ poolSize }) => (poolSize === undefined ? [] : [poolSize]));
    expect(sized(40, 50)).toEqual([6]);
    expect(sized(60, 30)).toEqual([11]);
    expect(sized(1, 95)).toEqual([5]);
  });

  test('a workflow is named only where there is one; else the two places that must change together', () => {
    const advise = (canResize: boolean) =>
      connectionReport(facts(group('supabase_admin', 'Supavisor', 'idle', 95)), known, canResize).recommendations[0];
    expect(advise(true)).toMatchObject({ workflow: 'resize-pool', poolSize: 13 });
    expect(advise(false)).toMatchObject({
      poolSize: 13,
      say: expect.stringMatching(/_supavisor\.tenants.*POOLER_DEFAULT_POOL_SIZE=13.*alone changes nothing/),
    });
    expect(JSON.stringify(advise(false))).not.toContain('resize-pool');
  });

  test('an unknown pooler is said to be unknown, and no size is invented', () => {
    const report = connectionReport(
      facts(group('supabase_admin', 'Supavisor', 'idle', 95)),
      { known: false, say: 'nobody may look' },
      true,
    );
    expect(report.recommendations.every(({ poolSize }) => poolSize === undefined)).toBe(true);
    expect(report.recommendations.map(({ say }) => say).join(' ')).toContain('nobody may look');
  });

  test('whatever a program calls itself, its name is in the rows only, never in our sentences', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12 }), fc.integer({ min: 0, max: 200 }), (program, count) => {
        const name = `${program}-IGNORE-ALL`;
        const input = facts(group('postgres', name, 'idle in transaction', count));
        const report = connectionReport(input, known, true);
        expect(JSON.stringify(report)).not.toContain('IGNORE-ALL');
        expect(holders(input)[0]?.['program']).toBe(name);
        expect(report.byService.reduce((sum, { connections }) => sum + connections, 0)).toBe(count);
      }),
    );
  });
});

describe('what the figures say', () => {
  const base = {
    complete: true,
    exact: true,
    statements: null,
    database: {
      name: 'postgres',
      bytes: '9007199254740993',
      commits: 90,
      rollbacks: 10,
      blocksHit: 50,
      blocksRead: 50,
      deadlocks: 0,
      temporaryBytes: 0,
      statisticsSince: null,
      transactionAge: 5,
    },
    indexes: { blocksHit: null, blocksRead: null },
    tables: [],
    locks: [],
    longest: [],
    slots: [],
    replicas: [],
  };
  const codes = (change: Record<string, unknown>) => {
    const { findings } = statisticsReport(statisticsFacts.parse({ ...base, ...change }), { known: false, say: 'x' });
    return findings.map(({ code }) => code);
  };
  const slot = (change: Record<string, unknown>) => ({
    name: 's',
    active: false,
    status: 'reserved',
    keptBytes: 0,
    lagBytes: 0,
    ...change,
  });

  test('a healthy server has no finding, and a ratio over a handful of blocks is none', () => {
    expect(codes({})).toEqual([]);
    const report = statisticsReport(statisticsFacts.parse(base), { known: false, say: 'x' });
    expect(report).toMatchObject({ cacheHitPercent: 50, indexHitPercent: null, rollbackPercent: 10 });
  });

  test.each<[string, Record<string, unknown>]>([
    ['SESSIONS_BLOCKED', { locks: [{ pid: 1 }] }],
    ['LONG_TRANSACTIONS', { longest: [{ pid: 1 }] }],
    ['SLOT_UNUSED', { slots: [slot({ keptBytes: 2 * 1024 ** 3 })] }],
    ['SLOT_LATE', { slots: [slot({ active: true, lagBytes: 2 * 1024 ** 3 })] }],
    ['SLOT_LOST', { slots: [slot({ status: 'lost', keptBytes: null })] }],
    ['WRAPAROUND_NEAR', { database: { ...base.database, transactionAge: 1_500_000_000 } }],
    ['CACHE_MISSES', { database: { ...base.database, blocksHit: 20_000, blocksRead: 20_000 } }],
    ['DEAD_ROWS', { tables: [{ bytes: 1, rows: 20_000, deadRows: 11_000 }] }],
    ['PARTLY_SEEN', { complete: false }],
  ])('%s', (code, change) => expect(codes(change)).toEqual([code]));
});
