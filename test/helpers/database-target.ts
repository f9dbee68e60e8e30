/** A registered target whose database is a test server, as `targets add` leaves it. */
import { openApp } from '../../src/app.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import type { TestServer } from './databases.ts';

export type AddedTarget = {
  home: string;
  name?: string;
  server: Pick<TestServer, 'port' | 'password'>;
  database?: string;
  readOnlyLogin?: boolean;
};

/** The secrets come from a file of the home’s neighbourhood, as an owner hands them over. */
export async function addDatabaseTarget({
  home,
  name = 'lab',
  server,
  database = 'postgres',
  readOnlyLogin = true,
}: AddedTarget): Promise<void> {
  const scrubber = createScrubber();
  process.env['CAPSTAN_TEST_DB_PASSWORD'] = server.password;
  const app = await openApp({ config: { home, logLevel: 'silent' }, log: createLog({ level: 'silent', scrubber }), scrubber });
  try {
    const handed = await app.vault.handOver('env:CAPSTAN_TEST_DB_PASSWORD', `target:${name}`, 'postgresPassword');
    const place = { host: '127.0.0.1', port: server.port, database, ssl: 'disable', mode: 'direct', tenant: null, dockerInternal: false };
    const secrets = { postgresPassword: handed.reference, ...(readOnlyLogin ? { readOnlyPassword: handed.reference } : {}) };
    const facts = { sql: { addresses: [{ ...place, user: 'postgres', role: 'postgres', password: null }], superuser: false, reach: {} } };
    await app.registry.addTarget(
      { name, kind: 'self-hosted', tags: [], record: { url: '', secrets, facts } },
      handed.staged ? [handed.staged] : [],
    );
  } finally {
    app.close();
  }
}
