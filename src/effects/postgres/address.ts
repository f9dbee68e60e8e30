/** Where a Postgres listens and who logs in there, with the password revealed: lives only inside a call of a hand. */

import type { DockerName } from './this-database.ts';

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

export type SqlAddress = {
  /** A name, an address without brackets, or the folder of a unix socket. */
  host: string;
  port: number;
  database: string;
  /** As it is sent: through Supavisor `role.tenant`. */
  user: string;
  password: string;
  /** As libpq reads it. */
  ssl: SslMode;
  /** Default `direct`. */
  mode?: 'direct' | 'session' | 'transaction';
  /** The database role inside `user`. Default: `user`. */
  role?: string;
  /** A name of a Docker network, whose database has to prove that it is the target's. */
  docker?: DockerName;
};

/** A role of the database and its password. */
export type SqlLogin = { role: string; password: string };
