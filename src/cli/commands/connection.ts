import { defineCommand } from 'citty';
import {
  buildConnection,
  type Connection,
  connectionFromVariables,
  describeConnection,
  invalidConnection,
  parseConnection,
} from '../../effects/postgres/connection-string.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';
import { scrubber } from '../surroundings.ts';

const parse = command(
  'parse',
  'Say what a connection string is: kind, host, port, role, tenant, mode and limits; never its password',
  {
    string: {
      type: 'positional',
      required: true,
      description: 'the connection string, or - to read it (or an environment file) from standard input',
    },
  },
  async ({ string: given }) => {
    const connection = readConnection(given === '-' ? await readInput() : given);
    if (connection.password !== null) scrubber.register(connection.password);
    const exposed = given !== '-' && connection.password !== null;
    const warnings = exposed ? [...connection.warnings, inArguments] : connection.warnings;
    const shown = { ...describeConnection({ ...connection, warnings }), uri: buildConnection(connection, 'uri', null) };
    return { exit: exitCodes.ok, json: shown, text: asText(connection, warnings) };
  },
);

const inArguments = {
  code: 'PASSWORD_IN_ARGUMENTS',
  say: 'Every process of this machine can read the arguments of a command: give the string on standard input (-) instead.',
};

const rolesOf = command(
  'roles',
  'Show which role may do what in which schema; with --role, --schema and --want the exact grants that are missing',
  {
    target: { type: 'positional', required: true, description: 'name of the target' },
    role: { type: 'string', description: 'One role, such as anon' },
    schema: { type: 'string', description: 'One schema, such as public' },
    want: { type: 'string', description: 'read or write' },
  },
  ({ target, role, schema, want }) =>
    withApp(async (app) => {
      if (want !== undefined && want !== 'read' && want !== 'write') throw usage('capstan connection roles', '--want is read or write.');
      if (want !== undefined && (role === undefined || schema === undefined))
        throw usage('capstan connection roles', '--want needs --role and --schema.');
      const { rows, grants } = await app.checkAccess({ target, role, schema, want });
      const missing =
        grants === undefined
          ? []
          : grants.length === 0
            ? ['No right is missing.']
            : ['Missing; `capstan run grant-access` gives exactly these, approved:', ...grants];
      const text = [table(rows, ['schema', 'role', 'usage', 'create', 'tables', 'select', 'insert', 'update', 'delete']), ...missing].join(
        '\n',
      );
      return { exit: exitCodes.ok, json: { target, rows, ...(grants === undefined ? {} : { grants }) }, text };
    }),
);

export const connection = defineCommand({
  meta: { name: 'connection', description: 'Read connection strings, and see who may do what on a target' },
  subCommands: { parse, roles: rolesOf },
});

/** A connection string, or the variables of an environment file. Throws CONNECTION_STRING_INVALID. */
function readConnection(text: string): Connection {
  if (!/^\s*(export\s+)?[A-Z][A-Z0-9_]*\s*=/m.test(text) || /^\s*(postgres|jdbc)/i.test(text)) return parseConnection(text);
  const found = connectionFromVariables(Object.fromEntries(envVariables(parseEnv(text))));
  if (found !== undefined) return found;
  throw invalidConnection(
    'No variable of it says where a database is.',
    'Known are DATABASE_URL, PGHOST, POSTGRES_HOST, DB_HOST and their kin.',
  );
}

async function readInput(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > 1_000_000) throw invalidConnection('The input is longer than any environment file.');
  }
  return text;
}

function asText(
  { kind, mode, host, port, user, role, tenant, database, ssl, password }: Connection,
  warnings: Connection['warnings'],
): string {
  const through = user === role ? '' : ` (sent as ${user})`;
  return [
    `${kind}, ${mode} mode: ${host} port ${port}, database ${database}`,
    `role ${role}${through}${tenant === null ? '' : `, tenant ${tenant}`}, sslmode ${ssl}, ${password === null ? 'no password' : 'with a password'}`,
    ...warnings.map(({ code, say }) => `${code}: ${say}`),
  ].join('\n');
}
