import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sslModes } from '../../src/effects/postgres/address.ts';
import {
  buildConnection,
  type Connection,
  connectionFromVariables,
  describeConnection,
  parseConnection,
} from '../../src/effects/postgres/connection-string.ts';
import { AppError } from '../../src/errors.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';

type Expected = Partial<Omit<Connection, 'warnings' | 'options'>> & { warns?: string[] };
const forms: [what: string, text: string, expected: Expected][] = [
  [
    'docker-internal',
    'postgresql://postgres:pw@db:5432/postgres',
    { kind: 'docker-internal', mode: 'direct', host: 'db', warns: ['DOCKER_INTERNAL'] },
  ],
  [
    'Supavisor session',
    'postgres://postgres.my-tenant:pw@203.0.113.7:5432/postgres',
    { kind: 'supavisor', mode: 'session', role: 'postgres', tenant: 'my-tenant', user: 'postgres.my-tenant', warns: [] },
  ],
  [
    'Supavisor transaction',
    'postgres://app.my-tenant:pw@203.0.113.7:6543/postgres',
    { kind: 'supavisor', mode: 'transaction', role: 'app', tenant: 'my-tenant', warns: ['TRANSACTION_MODE', 'NO_PREPARED_STATEMENTS'] },
  ],
  [
    'Supavisor without a tenant',
    'postgres://postgres:pw@203.0.113.7:6543/postgres',
    { kind: 'supavisor', tenant: null, warns: ['TENANT_MISSING', 'TRANSACTION_MODE', 'NO_PREPARED_STATEMENTS'] },
  ],
  [
    'Supavisor inside Docker',
    'postgres://postgres.t1:pw@supavisor/postgres',
    { kind: 'docker-internal', mode: 'session', tenant: 't1', port: 5432, warns: ['DOCKER_INTERNAL'] },
  ],
  ['pgbouncer override', 'postgres://postgres:pw@pgbouncer:6543/postgres', { kind: 'pgbouncer', mode: 'transaction', tenant: null }],
  ['local stack of the CLI', 'postgresql://postgres:postgres@127.0.0.1:54322/postgres', { kind: 'local-stack', mode: 'direct', warns: [] }],
  [
    'pooler of the local stack',
    'postgresql://postgres.pooler-dev:postgres@127.0.0.1:54329/postgres',
    { kind: 'local-stack', mode: 'transaction', tenant: 'pooler-dev' },
  ],
  [
    'cloud direct',
    'postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co:5432/postgres',
    { kind: 'cloud-direct', mode: 'direct', tenant: 'abcdefghijklmnopqrst', ssl: 'require', warns: ['IPV6_ONLY'] },
  ],
  [
    'cloud direct with the wrong host of some pages',
    'postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.com/postgres',
    { kind: 'cloud-direct', warns: ['CLOUD_HOST_WRONG', 'IPV6_ONLY'] },
  ],
  [
    'cloud pooler, session',
    'postgresql://postgres.abcdefghijklmnopqrst:pw@aws-1-eu-central-1.pooler.supabase.com:5432/postgres',
    { kind: 'cloud-pooler', mode: 'session', tenant: 'abcdefghijklmnopqrst', warns: [] },
  ],
  [
    'cloud pooler, transaction',
    'postgresql://postgres.abcdefghijklmnopqrst:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres',
    { kind: 'cloud-pooler', mode: 'transaction' },
  ],
  [
    'cloud dedicated pooler',
    'postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co:6543/postgres',
    { kind: 'cloud-dedicated-pooler', mode: 'transaction', warns: ['IPV6_ONLY', 'TRANSACTION_MODE', 'NO_PREPARED_STATEMENTS'] },
  ],
  [
    'the project in an option',
    'postgresql://postgres:pw@aws-0-x.pooler.supabase.com:5432/postgres?options=reference%3Dabcdef',
    { kind: 'cloud-pooler', role: 'postgres', tenant: 'abcdef', warns: [] },
  ],
  ['Prisma', 'postgresql://postgres.t:pw@h.example.com:6543/postgres?pgbouncer=true&connection_limit=1', { mode: 'transaction' }],
  [
    'an encoded user and password',
    'postgresql://my%2Eu%40ser:p%40ss%2Fw%3Ard%23%3F%25%20@h.example.com/db%20one',
    { user: 'my.u@ser', password: 'p@ss/w:rd#?% ', database: 'db one' },
  ],
  [
    'a pasted password with @',
    'postgres://postgres:p@ss@h.example.com:5432/postgres',
    { password: 'p@ss', host: 'h.example.com', warns: ['PASSWORD_NOT_ENCODED'] },
  ],
  [
    'a pasted password with /, ?, # and :',
    'postgres://postgres:a/b?c#d:e@h.example.com:5432/postgres?sslmode=require',
    { password: 'a/b?c#d:e', host: 'h.example.com', ssl: 'require', warns: ['PASSWORD_NOT_ENCODED'] },
  ],
  [
    'a pasted password with a lone %',
    'postgres://postgres:50%off@h.example.com/postgres',
    { password: '50%off', warns: ['PASSWORD_NOT_ENCODED'] },
  ],
  [
    'an @ in an option',
    'postgres://h.example.com:5432/postgres?application_name=me@home',
    { host: 'h.example.com', password: null, user: 'postgres' },
  ],
  [
    'IPv6',
    'postgresql://postgres:pw@[2001:db8::1]:5433/postgres?sslmode=verify-full',
    { host: '2001:db8::1', port: 5433, ssl: 'verify-full', kind: 'direct' },
  ],
  [
    'a unix socket by option',
    'postgresql:///postgres?host=/var/run/postgresql&user=postgres',
    { kind: 'unix-socket', host: '/var/run/postgresql', warns: ['PASSWORD_MISSING'] },
  ],
  [
    'a unix socket in the host',
    'postgresql://postgres:pw@%2Fvar%2Frun%2Fpostgresql/postgres',
    { kind: 'unix-socket', host: '/var/run/postgresql' },
  ],
  [
    'JDBC',
    'jdbc:postgresql://h.example.com:5433/app?user=postgres&password=p%26w&ssl=true',
    { form: 'jdbc', host: 'h.example.com', port: 5433, database: 'app', password: 'p&w', ssl: 'require' },
  ],
  ['JDBC with a database only', 'jdbc:postgresql:app?user=u', { form: 'jdbc', host: 'localhost', port: 5432, database: 'app', user: 'u' }],
  [
    'libpq keywords',
    String.raw`host=db.example.com port = 5432 user='po st' password='it\'s \\ =x' dbname=postgres sslmode=disable`,
    { form: 'keywords', user: 'po st', password: String.raw`it's \ =x`, warns: ['NOT_ENCRYPTED'] },
  ],
  ['libpq keywords with a socket', 'host=/tmp user=postgres', { kind: 'unix-socket', database: 'postgres' }],
  ['nothing but a scheme', 'postgresql://', { host: 'localhost', port: 5432, user: 'postgres', database: 'postgres' }],
  [
    'a placeholder',
    'postgresql://postgres:[YOUR-PASSWORD]@db.abcdefghijklmnopqrst.supabase.co:5432/postgres',
    { warns: ['IPV6_ONLY', 'PASSWORD_PLACEHOLDER'] },
  ],
];

test.each(forms)('%s is read', (_what, text, { warns, ...expected }) => {
  const read = parseConnection(text);
  expect(read).toMatchObject(expected);
  if (warns) expect(read.warnings.map(({ code }) => code)).toEqual(warns);
});

test.each([
  ['the API', 'https://abc.supabase.co', 'address of the API'],
  ['another database', 'mysql://root:hunter2hunter2@h/db', 'not that of Postgres'],
  ['a driver', 'postgresql+asyncpg://u:hunter2hunter2@h/db', 'driver of a library'],
  ['JDBC of something else', 'jdbc:mysql://h/db?password=hunter2hunter2', 'Only jdbc:postgresql'],
  ['several hosts', 'postgres://u:hunter2hunter2@a:1,b:2/db', 'several hosts'],
  ['a port that is none', 'postgres://u:hunter2hunter2@h:70000/db', 'port'],
  ['an sslmode that is none', 'postgres://u:hunter2hunter2@h/db?sslmode=yes', 'sslmode is one of'],
  ['a word', 'hunter2hunter2', 'neither'],
  ['a host with a colon', 'postgres://u:hunter2hunter2@a:b:c/db', 'cannot be told apart'],
  ['broken keywords', "host=a password='hunter2hunter2", 'keyword=value'],
  ['nothing', '   ', 'empty'],
  ['a novel', `postgres://${'x'.repeat(20_000)}`, 'longer'],
])('%s is refused, and the refusal repeats no part of it', (_what, text, says) => {
  let thrown: unknown;
  try {
    parseConnection(text);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(AppError);
  const shown = JSON.stringify({ ...Object(thrown), message: String(thrown) });
  expect(shown).toContain('CONNECTION_STRING_INVALID');
  expect(shown).toContain(says);
  expect(shown).not.toContain('hunter2hunter2');
});

test('variables are read: whole addresses before components, and Supavisor gets its tenant', () => {
  const of = (env: Record<string, string>) => connectionFromVariables(env);
  expect(of({ DATABASE_URL: 'postgres://a:b@pooled.example.com:6543/x', DIRECT_URL: 'postgres://a:b@direct.example.com/x' })).toMatchObject(
    { host: 'direct.example.com', form: 'variables' },
  );
  expect(
    of({ PGHOST: 'h.example.com', PGPORT: '5433', PGUSER: 'u', PGPASSWORD: 'p', PGDATABASE: 'd', PGSSLMODE: 'require' }),
  ).toMatchObject({ host: 'h.example.com', port: 5433, user: 'u', password: 'p', database: 'd', ssl: 'require' });
  expect(of({ POSTGRES_HOST: 'db', POSTGRES_PASSWORD: 'p', POSTGRES_DB: 'postgres', POSTGRES_PORT: '5432' })).toMatchObject({
    kind: 'docker-internal',
    user: 'postgres',
  });
  expect(of({ POSTGRES_HOST: 'supavisor', POSTGRES_PASSWORD: 'p', POOLER_TENANT_ID: 'abc' })).toMatchObject({
    user: 'postgres.abc',
    tenant: 'abc',
    role: 'postgres',
  });
  expect(of({ POSTGRES_PASSWORD: 'p' })).toBeUndefined();
});

const word = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).filter((text) => text.trim() !== '' && text === text.trim());
const anything = fc.record({
  host: fc.constantFrom(
    'db',
    'h.example.com',
    '2001:db8::1',
    '127.0.0.1',
    '/var/run/postgresql',
    'aws-0-x.pooler.supabase.com',
    'db.abcdefghijklmnopqrst.supabase.co',
  ),
  port: fc.integer({ min: 1, max: 65_535 }),
  user: word,
  password: fc.option(word, { nil: null }),
  database: word,
  ssl: fc.constantFrom(...sslModes),
  options: fc.dictionary(
    fc.constantFrom('connect_timeout', 'application_name', 'pgbouncer', 'options', 'target_session_attrs'),
    fc.string({ maxLength: 20 }),
  ),
});
type Carried = Pick<Connection, 'host' | 'port' | 'user' | 'password' | 'database' | 'ssl' | 'options'>;
const carried = ({ host, port, user, password, database, ssl, options }: Carried) => ({
  host,
  port,
  user,
  password,
  database,
  ssl,
  options,
});

describe('for any connection', () => {
  test.each(['uri', 'keywords', 'jdbc'] as const)('what is built as %s is read again as it was, whatever its password holds', (form) => {
    fc.assert(
      fc.property(anything, (wanted) => {
        const read = parseConnection(buildConnection({ ...parseConnection('postgres://x'), ...wanted }, form));
        expect(carried(read)).toEqual(carried(wanted));
      }),
      { numRuns: 500 },
    );
  });

  test('the form for people never holds the password, encoded or pasted raw', () => {
    const secret = fc.string({ maxLength: 20, unit: 'grapheme' }).map((middle) => `Q7x${middle}Zk9`);
    fc.assert(
      fc.property(anything, secret, fc.boolean(), (wanted, password, raw) => {
        const connection = { ...parseConnection('postgres://x'), ...wanted, user: 'postgres', password };
        const text = raw
          ? `postgres://postgres:${password}@h.example.com:5432/postgres?sslmode=require`
          : buildConnection(connection, 'uri');
        let shown: string;
        try {
          const read = parseConnection(text);
          shown = JSON.stringify([describeConnection(read), buildConnection(read, 'uri', 'PASSWORD')]);
          if (raw) expect(read.host).toBe('h.example.com');
        } catch (error) {
          shown = `${String(error)} ${JSON.stringify(error)}`;
          if (!(error instanceof AppError)) throw error;
        }
        expect(shown).not.toMatch(/Q7x|Zk9/);
      }),
      { numRuns: 1_000 },
    );
  });

  test('no text whatever makes it crash', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each).toString('latin1'));
    const near = fc
      .tuple(
        fc.constantFrom('postgres://', 'postgresql://', 'jdbc:postgresql://', 'jdbc:postgresql:', 'host=', ''),
        fc.oneof(bytes, fc.string({ unit: 'binary' })),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(near, (text) => {
        try {
          parseConnection(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CONNECTION_STRING_INVALID' });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('a long hostile text is read in no time', () => {
    for (const part of ['a=', "'", '\\', '@', ':', '%', '/?', 'host=a '])
      for (const head of ['postgres://', 'host=', 'jdbc:postgresql:']) {
        const began = performance.now();
        try {
          parseConnection(head + part.repeat(16_000 / part.length));
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
        expect(performance.now() - began, head + part).toBeLessThan(200);
      }
  });
});

test('the command line says what a string is, and never its password', async () => {
  const password = 'p%40ss-Canary-55123';
  const asArgument = await capstan('/nonexistent', [
    'connection',
    'parse',
    '--json',
    `postgres://postgres.t1:${password}@h.example.com:6543/postgres`,
  ]);
  expect(asArgument.exit).toBe(0);
  expect(jsonOf(asArgument)).toMatchObject({
    kind: 'supavisor',
    mode: 'transaction',
    role: 'postgres',
    tenant: 't1',
    hasPassword: true,
    uri: 'postgresql://postgres.t1@h.example.com:6543/postgres?sslmode=prefer',
  });
  expect(asArgument.stdout).toContain('PASSWORD_IN_ARGUMENTS');
  const wrong = await capstan('/nonexistent', ['connection', 'parse', `mysql://u:${password}@h`]);
  expect(wrong).toMatchObject({ exit: 1, stderr: expect.stringContaining('CONNECTION_STRING_INVALID') });
  const empty = await capstan('/nonexistent', ['connection', 'parse', '-']);
  expect(empty.stderr).toContain('CONNECTION_STRING_INVALID');
  for (const { stdout, stderr } of [asArgument, wrong]) expect(stdout + stderr).not.toMatch(/Canary-55123/);
});
