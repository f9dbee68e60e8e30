/** One Postgres server per stack, as in a real stack: roles and passwords belong to a whole server. */
import { access, chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { type Binaries, findPostgres, reachableBinaries } from './binaries.ts';
import { type Cluster, initCluster, startCluster } from './cluster.ts';
import {
  connect,
  type Database,
  type DatabaseHost,
  type FirstBoot,
  firstBootSql,
  innerDatabase,
  innerSql,
  passwordRoles,
  readSql,
  withClient,
} from './database.ts';
import { endStaleServers } from './stale.ts';

async function fill(port: number, initialPassword: string, first: FirstBoot): Promise<void> {
  const login = { host: '127.0.0.1', port, database: 'postgres', user: 'supabase_admin', password: initialPassword };
  await withClient(connect(login), async (client) => {
    await client.query(await readSql('supabase-roles.sql'));
    await client.query('alter database postgres owner to postgres');
    await client.query(await readSql('supabase-schemas.sql'));
    await client.query(firstBootSql('postgres', first));
    const password = pg.escapeLiteral(first.password);
    await client.query(`create database ${innerDatabase} owner supabase_admin`);
    await client.query(passwordRoles.map((role) => `alter role ${role} password ${password}`).join(';'));
  });
  const inner = { host: '127.0.0.1', port, database: innerDatabase, user: 'supabase_admin', password: first.password };
  await withClient(connect(inner), (client) => client.query(innerSql));
}

const toDatabase = (cluster: Cluster): Database => ({
  connect: (login) => connect({ host: '127.0.0.1', port: cluster.port, database: 'postgres', ...login }),
  local: ({ user, database = 'postgres' }) => connect({ host: cluster.socketDir, port: cluster.port, database, user }),
  address: { host: '127.0.0.1', port: cluster.port },
  close: () => cluster.stop(),
});

/** Data folders live under `root`, one per stack; servers that a killed process left there are ended first. */
export async function ownHost(root: string): Promise<DatabaseHost> {
  await mkdir(root, { recursive: true });
  // Anybody may walk through, nobody may list: the data folders below are closed by themselves.
  await chmod(root, 0o711);
  await endStaleServers(root);
  const copied = join(root, 'native');
  let binaries: Promise<Binaries> | undefined;
  const find = () => {
    binaries ??= findPostgres().then((found) => reachableBinaries(found, copied));
    return binaries;
  };
  // Looked for at once, so that a machine without Postgres is told at the start and not in the middle of a deployment.
  await find();
  const open = new Set<Cluster>();

  return {
    async open(id, first, settings, bootPassword) {
      const folder = join(root, id);
      const dataDir = join(folder, 'data');
      const isNew = await access(join(folder, 'complete')).then(
        () => false,
        () => true,
      );
      let initialPassword = '';
      if (isNew) {
        await rm(folder, { recursive: true, force: true });
        await mkdir(folder, { recursive: true });
        await chmod(folder, 0o711);
        initialPassword = await initCluster(await find(), dataDir);
      }
      const cluster = await startCluster(await find(), dataDir, settings);
      open.add(cluster);
      try {
        if (isNew) {
          await fill(cluster.port, initialPassword, first);
          // Written last: a folder that was filled by half is thrown away at the next start.
          await mkdir(join(folder, 'complete'));
        }
      } catch (error) {
        await cluster.stop();
        throw error;
      }
      return { database: toDatabase(cluster), bootPassword: isNew ? first.password : bootPassword };
    },
    remove: (id) => rm(join(root, id), { recursive: true, force: true }),
    async close() {
      await Promise.all([...open].map((cluster) => cluster.stop()));
      await rm(copied, { recursive: true, force: true });
    },
  };
}
