/** Where a Postgres listens and who logs in there, with the password revealed: lives only inside a call of a hand. */

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

export type SqlAddress = {
  /** A name, an address without brackets, or the folder of a unix socket. */
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  /** As libpq reads it. */
  ssl: SslMode;
};
