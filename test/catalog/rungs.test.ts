/** Where no database port is published: the same answers by /pg/query and by psql in the container, on the sandbox. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { advise } from '../../src/catalog/advisors/advise.ts';
import { createDokployClient } from '../../src/effects/dokploy/client.ts';
import { createLimiters } from '../../src/effects/dokploy/rate-limit.ts';
import { runInContainer } from '../../src/effects/dokploy/run-in-container.ts';
import { generateTypes } from '../../src/effects/postgres/generate-types.ts';
import { openSession, type SqlTarget } from '../../src/effects/postgres/open.ts';
import { readConnections, readStatistics } from '../../src/effects/postgres/read-activity.ts';
import { readCatalog } from '../../src/effects/postgres/read-catalog.ts';
import type { Purpose, Rung } from '../../src/effects/postgres/session.ts';
import { shopSql } from '../helpers/hostile-schema.ts';
import { deployStack, openSandbox, type Stack } from '../sandbox/client.ts';

/** What the role postgres may not make on a real instance either: objects on Supabase's own tables. */
const ownSql = shopSql.replaceAll(/^create (policy|trigger) (read_own|on_auth_user_created) [^;]*;$/gm, '');

let box: Awaited<ReturnType<typeof openSandbox>>;
let stack: Stack;
let target: SqlTarget;
beforeAll(async () => {
  box = await openSandbox();
  stack = await deployStack(box.sandbox);
  const client = createDokployClient(
    { name: 'box', url: box.sandbox.url, apiKey: box.sandbox.apiKey, reach: {} },
    { limiter: createLimiters()('box') },
  );
  target = {
    name: 'lab',
    reach: { ca: box.sandbox.ca, resolve: box.sandbox.resolve },
    addresses: [],
    meta: {
      baseUrl: `https://${stack.host}`,
      serviceKey: stack.env['SERVICE_ROLE_KEY'] ?? '',
      cryptoKey: stack.env['PG_META_CRYPTO_KEY'] ?? '',
      logins: [{ role: 'postgres', password: stack.env['POSTGRES_PASSWORD'] ?? '' }],
    },
    exec: { run: (command, timeoutMs) => runInContainer(client, { composeId: stack.composeId, serviceName: 'db' }, command, timeoutMs) },
  };
  const owner = await openSession(target, 'ddl', { rung: 'meta' });
  await owner.query(ownSql);
});
afterAll(() => box?.close());

const by = async <T>(rung: Rung, purpose: Purpose, work: (session: Awaited<ReturnType<typeof openSession>>) => Promise<T>): Promise<T> => {
  const session = await openSession(target, purpose, { rung });
  return work(session).finally(() => session.close());
};

describe('without a published port', () => {
  test('the catalog is the same by both ways, whole, and by no superuser', async () => {
    const [meta, exec] = [
      await by('meta', 'read', async (session) => ({ catalog: await readCatalog(session), superuser: session.superuser })),
      await by('exec', 'read', async (session) => ({ catalog: await readCatalog(session), superuser: session.superuser })),
    ];
    expect(exec).toEqual(meta);
    expect(meta.superuser).toBe(false);
    expect(meta.catalog.relations.find(({ name }) => name === 'orders')?.columns).toHaveLength(5);
    expect(advise(exec.catalog)).toEqual(advise(meta.catalog));
  });

  test('the types are the same text by both ways', async () => {
    const make = (rung: Rung) => by(rung, 'read', async (session) => (await generateTypes(session, { schemas: ['public'] })).text);
    const text = await make('meta');
    expect(text).toContain('status: Database["public"]["Enums"]["status"]');
    expect(await make('exec')).toBe(text);
  });

  test.each(['meta', 'exec'] as const)('connections and statistics come by %s', async (rung) => {
    const facts = await by(rung, 'watch', readConnections);
    expect(facts.groups.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(0);
    expect(facts).toMatchObject({ complete: true, maxConnections: expect.any(Number) });
    expect(await by(rung, 'watch', readStatistics)).toMatchObject({ database: { name: 'postgres', bytes: expect.any(Number) } });
  });
});
