/**
 * Names of Docker networks: where this process runs, which names lead somewhere, and whose database answers there. The servers are real; the names
 * lead to them by `--resolve`, as a network's own name server would.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TargetRecord } from '../../src/effects/handler.ts';
import { dockerPlaces } from '../../src/effects/postgres/docker-places.ts';
import { openSession } from '../../src/effects/postgres/open.ts';
import { toSqlTarget } from '../../src/effects/postgres/sql-target.ts';
import { type ContainerFacts, containerOf, isOfNetwork, type Surroundings } from '../../src/effects/postgres/surroundings.ts';
import { compareMarks, isBelieved } from '../../src/effects/postgres/this-database.ts';
import { startServer, type TestServer } from '../helpers/databases.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { deployStack, openSandbox, type Stack } from '../sandbox/client.ts';

const none: ContainerFacts = { dockerenv: undefined, containerenv: undefined, cgroup: '0::/\n', mountinfo: undefined };
const id = 'c0ffee'.repeat(10);

test.each<[string, Partial<ContainerFacts>, boolean]>([
  ['nothing', {}, false],
  ['Docker’s mark', { dockerenv: '' }, true],
  ['Podman’s mark', { containerenv: 'engine="podman-5"' }, true],
  ['a control group of version 1', { cgroup: `12:pids:/docker/${id}\n` }, true],
  ['a pod', { cgroup: `0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope\n` }, true],
  ['a session of a person', { cgroup: '0::/user.slice/user-1000.slice/session-2.scope\n' }, false],
  ['the service of Docker itself', { cgroup: '0::/system.slice/docker.service\n' }, false],
  [
    'Docker’s hosts file, with control groups of version 2',
    { mountinfo: `704 690 259:1 /var/lib/docker/containers/${id}/hosts /etc/hosts rw,relatime - ext4 /dev/root rw\n` },
    true,
  ],
  ['Podman’s', { mountinfo: `9 8 0:24 /containers/overlay-containers/${id}/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n` }, true],
  ['a disk of a person', { mountinfo: '29 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n' }, false],
])('in a container, by %s: told with the reason', (_what, facts, inside) => {
  expect(containerOf({ ...none, ...facts })).toEqual({ inside, because: expect.stringMatching(/./) });
});

test.each([
  [['172.18.0.3'], true],
  [['fd00::3', '10.0.1.9'], true],
  [[], false],
  [['93.184.216.34'], false],
  [['172.18.0.3', '93.184.216.34'], false],
])('a name that leads to %j is one of a network: %s', (addresses, of) => {
  expect(isOfNetwork(addresses)).toBe(of);
});

test.each([
  [{ systemId: '1', settingHash: 'a' }, { systemId: '1', settingHash: 'b' }, 'same', [true, true, true]],
  [{ systemId: '1', settingHash: 'a' }, { systemId: '2', settingHash: 'a' }, 'other', [false, false, false]],
  [{ systemId: '1', settingHash: 'a' }, { settingHash: 'a' }, 'same', [true, true, true]],
  [{ systemId: '1', settingHash: 'a' }, { settingHash: 'b' }, 'doubt', [true, false, false]],
  [{ systemId: '1' }, { settingHash: 'b' }, 'unproven', [true, true, false]],
  [{ settingHash: 'a' }, { systemId: '1' }, 'unproven', [true, true, false]],
  [{}, {}, 'unproven', [true, true, false]],
] as const)(
  '%j against %j is %s, believed under a name of its own, one given, one that many bear: %j',
  (here, known, verdict, believed) => {
    expect(compareMarks(here, known)).toBe(verdict);
    expect((['own', 'given', 'shared'] as const).map((name) => isBelieved(name, verdict))).toEqual(believed);
  },
);

test('the container’s own name comes before the one that every stack has', () => {
  const hosts = (app: string, tenant: string | null) => dockerPlaces(app, tenant).map(({ host, docker }) => `${host} ${docker}`);
  expect(hosts('shop-x1y2z3', 't')).toEqual(['shop-x1y2z3-db-1 own', 'db shared', 'shop-x1y2z3-supavisor-1 own', 'supavisor own']);
  expect(hosts('', null)).toEqual(['db shared']);
  expect(hosts('no name; at all', null)).toEqual(['db shared']);
});

describe('a stack of a Dokploy, seen from a container', () => {
  let box: Awaited<ReturnType<typeof openSandbox>>;
  let stack: Stack;
  /** Of another stack that was made by copying: its roles have the same passwords. */
  let stranger: TestServer;
  let admin: pg.Client;
  let ownPort: number;
  beforeAll(async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'capstan-docker-'));
    box = await openSandbox({ dataDir });
    stack = await deployStack(box.sandbox);
    const { postgresRoot } = JSON.parse(readFileSync(join(dataDir, 'sandbox.json'), 'utf8')) as { postgresRoot: string };
    ownPort = Number(readFileSync(join(postgresRoot, stack.composeId, 'data', 'postmaster.pid'), 'utf8').split('\n')[3]);
    stranger = await startServer(15);
    admin = await stranger.admin();
    for (const role of ['postgres', 'supabase_admin', 'supabase_read_only_user'])
      await admin.query(`alter role ${role} password '${stack.env['POSTGRES_PASSWORD']}'`);
  });
  afterAll(async () => {
    await box.close();
    await stranger.stop();
  });

  const inside: Surroundings = { container: async () => ({ inside: true, because: 'so it is said' }), lookup: async () => [] };
  type Wanted = { secrets: string[]; resolve?: string[]; surroundings?: Surroundings };
  const waysOf = ({ secrets, resolve = [], surroundings = inside }: Wanted) => {
    const { projectId, environmentId, composeId, appName } = stack;
    const record: TargetRecord = {
      name: 'shop',
      kind: 'dokploy',
      tags: [],
      url: `https://${stack.host}`,
      dokploy: { name: 'home', projectId, environmentId, composeId, appName },
      secrets: Object.fromEntries(secrets.map((name) => [name, name])),
      facts: { sql: { addresses: [], superuser: false, reach: { ca: box.sandbox.ca, resolve: [...box.sandbox.resolve, ...resolve] } } },
    };
    const values: Record<string, string | undefined> = {
      postgresPassword: stack.env['POSTGRES_PASSWORD'],
      jwtSecret: stack.env['JWT_SECRET'],
      serviceRoleKey: stack.env['SERVICE_ROLE_KEY'],
    };
    return toSqlTarget(record, {
      reveal: async (reference) => values[reference] ?? '',
      dokploy: async () => ({ name: 'home', url: box.sandbox.url, apiKey: box.sandbox.apiKey, reach: {} }),
      client: async () => {
        throw new Error('exec is not asked for here');
      },
      surroundings,
    });
  };
  const to = (host: string, port: number) => [`${host}:5432:127.0.0.1:${port}`];
  const direct = async (wanted: Wanted) => openSession(await waysOf(wanted), 'read', { rung: 'direct' });

  test.each([
    ['by the secret that it keeps', ['postgresPassword', 'jwtSecret']],
    ['by the number of the server, as /pg/query tells it', ['postgresPassword', 'serviceRoleKey']],
  ])('the stack’s own database is taken under the common name, proven %s', async (_how, secrets) => {
    const session = await direct({ secrets, resolve: to('db', ownPort) });
    expect(session).toMatchObject({ rung: 'direct', role: 'postgres' });
    await session.close();
  });

  test.each([
    ['its secret is another', ['postgresPassword', 'jwtSecret'], 'another JWT secret'],
    ['/pg/query leads to another server', ['postgresPassword', 'serviceRoleKey'], 'another server'],
    ['nothing could tell', ['postgresPassword'], 'nothing tells it'],
  ])('a stranger’s is not, although the password fits: %s', async (_why, secrets, said) => {
    const refused = await errorOf(direct({ secrets, resolve: to('db', stranger.port) }));
    expect(refused.message).toMatch(new RegExp(`^No way leads SQL to shop.*DATABASE_OF_ANOTHER: .*as db .*${said}`));
    // No session of ours stays there.
    const left = await admin.query("select from pg_stat_activity where application_name like 'capstan%'");
    expect(left.rowCount).toBe(0);
  });

  test('what was refused is passed over for the next way, with the reason', async () => {
    const ways = await waysOf({ secrets: ['postgresPassword', 'serviceRoleKey'], resolve: to('db', stranger.port) });
    const session = await openSession(ways, 'read');
    expect(session.rung).toBe('meta');
    expect(session.reasons.join(' ')).toMatch(/db as postgres was tried first: .*another server/);
  });

  test('under the container’s own name it needs no further proof', async () => {
    const session = await direct({ secrets: ['postgresPassword'], resolve: to(`${stack.appName}-db-1`, ownPort) });
    expect(session.reasons.at(-1)).toContain(`${stack.appName}-db-1 as postgres`);
    await session.close();
  });

  test('names that lead nowhere, or out of the network, are no ways; outside a container none is looked up', async () => {
    const looked: string[] = [];
    const lookup = async (host: string) => {
      looked.push(host);
      return host === 'db' ? ['93.184.216.34'] : [];
    };
    const silent = await waysOf({ secrets: ['postgresPassword'], surroundings: { ...inside, lookup } });
    expect(silent.addresses).toEqual([]);
    expect(silent.leftOut).toEqual([`${stack.appName}-db-1, db leads to nothing in a Docker network of this container (so it is said).`]);
    expect(looked).toEqual([`${stack.appName}-db-1`, 'db']);
    const outside = { container: async () => ({ inside: false, because: 'nothing here is a container’s' }), lookup };
    expect((await waysOf({ secrets: ['postgresPassword'], surroundings: outside })).leftOut).toEqual([
      expect.stringContaining('from inside the stack'),
    ]);
    expect(looked).toHaveLength(2);
  });
});
