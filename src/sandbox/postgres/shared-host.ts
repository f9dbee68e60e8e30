/**
 * Each stack is a database of one server that was given by URL.
 * 1. Roles belong to the whole server: stacks share them, and they stay when the sandbox is gone.
 * 2. No password of a role is set or changed there; a login is compared with the stack's own first password instead.
 * 3. The URL must be a superuser's.
 */
import pg from 'pg';
import { AppError } from '../../errors.ts';
import {
  connect,
  type Database,
  type DatabaseHost,
  firstBootSql,
  innerDatabase,
  innerSql,
  type Login,
  readSql,
  withClient,
} from './database.ts';

const databaseName = (id: string): string => `capstan_sandbox_${id.replace(/[^A-Za-z0-9]/g, '_').toLowerCase()}`;
const innerName = (id: string): string => `${databaseName(id)}_inner`;

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}

const wrongPassword = (user: string): Error =>
  Object.assign(new Error(`password authentication failed for user "${user}"`), { severity: 'FATAL', code: '28P01' });

async function loginAs(url: string, login: Omit<Login, 'password'>): Promise<pg.Client> {
  const client = await connect({ connectionString: url, ...(login.options === undefined ? {} : { options: login.options }) });
  try {
    await client.query(`set session authorization ${pg.escapeIdentifier(login.user)}`);
    return client;
  } catch (error) {
    await client.end();
    throw error;
  }
}

/** Uses the server behind the URL; throws SANDBOX_POSTGRES_FAILED when it cannot be used. */
export async function sharedHost(url: string): Promise<DatabaseHost> {
  const asOwner = <T>(work: (client: pg.Client) => Promise<T>, database?: string): Promise<T> =>
    withClient(connect({ connectionString: database === undefined ? url : withDatabase(url, database) }), work);
  try {
    await asOwner((client) => client.query("select 1 / (case when current_setting('is_superuser') = 'on' then 1 else 0 end)"));
  } catch (cause) {
    throw new AppError('SANDBOX_POSTGRES_FAILED', {
      message: 'The sandbox could not use the given Postgres server: it does not answer or the role is no superuser.',
      fix: 'Give the URL of a superuser on a server that may be filled with test roles and databases.',
      cause,
    });
  }

  return {
    async open(id, first, _settings, bootPassword) {
      const name = databaseName(id);
      const isNew = await asOwner(async (client) => {
        const found = await client.query('select from pg_database where datname = $1', [name]);
        if (found.rowCount !== 0) return false;
        await client.query(await readSql('supabase-roles.sql'));
        await client.query(`create database ${name} template template0`);
        await client.query(`create database ${innerName(id)} template template0`);
        return true;
      });
      if (isNew) {
        await asOwner(async (client) => {
          await client.query(await readSql('supabase-schemas.sql'));
          await client.query(firstBootSql(name, first));
        }, name);
        await asOwner((client) => client.query(innerSql), innerName(id));
      }
      const password = isNew ? first.password : bootPassword;
      const urlOf = (wanted?: string) => withDatabase(url, wanted === innerDatabase ? innerName(id) : name);
      const database: Database = {
        async connect(login) {
          if (login.password !== password) throw wrongPassword(login.user);
          return loginAs(urlOf(login.database), login);
        },
        local: (login) => loginAs(urlOf(login.database), login),
        address: { host: new URL(url).hostname, port: Number(new URL(url).port || 5432) },
        close: async () => undefined,
      };
      return { database, bootPassword: password };
    },
    async remove(id) {
      await asOwner((client) => client.query(`drop database if exists ${databaseName(id)} with (force)`));
      await asOwner((client) => client.query(`drop database if exists ${innerName(id)} with (force)`));
    },
    close: async () => undefined,
  };
}
