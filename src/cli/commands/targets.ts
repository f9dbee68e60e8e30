import { readFileSync } from 'node:fs';
import { defineCommand } from 'citty';
import { AppError } from '../../errors.ts';
import { cliCaller } from '../approve-here.ts';
import { usage, valuesOf } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { readAuthority } from '../read-authority.ts';
import { namedReferences, requireReference } from '../references.ts';
import { indented, table } from '../render.ts';

const kinds = ['self-hosted', 'cloud', 'dokploy'] as const;
const named = { type: 'positional', required: true, description: 'name of the target' } as const;

const list = command('list', 'List the targets: Supabase instances that are known here', {}, () =>
  withApp(async (app) => {
    const targets = await app.targets();
    return { exit: exitCodes.ok, json: { targets }, text: table(targets, ['name', 'kind', 'url', 'tags']) };
  }),
);

const add = command(
  'add',
  'Register a Supabase instance from what is at hand; those on a Dokploy are found by dokploy discover',
  {
    name: named,
    url: { type: 'string', description: 'Its address, such as https://supabase.example.com' },
    kind: { type: 'string', description: `One of: ${kinds.join(', ')}. Default: self-hosted, or what the source says` },
    connection: { type: 'string', valueHint: 'env:X|file:PATH', description: 'A connection string by reference, in any form' },
    env: { type: 'string', valueHint: 'FILE', description: 'The .env of a self-hosted stack; its secrets are stored encrypted' },
    config: { type: 'string', valueHint: 'FILE', description: 'supabase/config.toml of a local stack' },
    project: { type: 'string', valueHint: 'REF', description: 'A project of the cloud' },
    secret: {
      type: 'string',
      valueHint: 'NAME=env:X',
      description: 'A secret by reference, such as serviceRoleKey=env:KEY; may be given more than once',
    },
    ca: { type: 'string', valueHint: 'FILE', description: 'PEM file of a certificate authority to trust besides the usual ones' },
    header: {
      type: 'string',
      valueHint: 'NAME=env:X',
      description: 'A further header, its value by reference; may be given more than once',
    },
    resolve: { type: 'string', valueHint: 'host:port:addr', description: 'As in curl; may be given more than once' },
    'superuser-sql': { type: 'boolean', description: 'Let SQL of agents run as a superuser here, where there is no other role' },
    tag: { type: 'string', description: 'Such as production; may be given more than once' },
  },
  (args, raw) =>
    withApp(async (app) => {
      const { name } = args;
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
        throw usage('capstan targets add', 'The name has letters, digits, dots, hyphens and underscores, at most 64.');
      if (args.kind !== undefined && !kinds.some((known) => known === args.kind))
        throw usage('capstan targets add', `--kind is one of: ${kinds.join(', ')}.`);
      const { row, staged, warnings } = await app.draftTarget({
        name,
        tags: valuesOf(raw, 'tag'),
        kind: args.kind,
        url: args.url,
        connection: args.connection === undefined ? undefined : requireReference('connection', args.connection),
        envText: args.env === undefined ? undefined : readText(args.env),
        configToml: args.config === undefined ? undefined : readText(args.config),
        project: args.project,
        secrets: namedReferences('capstan targets add', 'secret', valuesOf(raw, 'secret')),
        ca: args.ca === undefined ? undefined : readAuthority(args.ca),
        headers: namedReferences('capstan targets add', 'header', valuesOf(raw, 'header')),
        resolve: valuesOf(raw, 'resolve'),
        superuserSql: args['superuser-sql'] === true,
      });
      await app.registry.addTarget(row, staged);
      await app.operations.note(`targets add ${name}`, cliCaller());
      const { kind, tags, record } = row;
      const text = [
        `Stored the target ${name}${record.url === '' ? '' : ` at ${record.url}`}. Try it: capstan targets test ${name}`,
        ...warnings.map(({ code, say }) => `${code}: ${say}`),
      ].join('\n');
      return { exit: exitCodes.ok, json: { name, kind, url: record.url, tags, secrets: Object.keys(record.secrets), warnings }, text };
    }),
);

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', {
      message: `The file ${path} cannot be read.`,
      fix: 'Check the path and its permissions.',
      cause,
    });
  }
}

const test = command(
  'test',
  'Try every way to a target: which rungs lead SQL there, as which role, and why others do not',
  { name: named },
  ({ name }) =>
    withApp(async (app) => {
      const answer = await app.testConnection(name);
      const lines = answer.ways.map(
        ({ rung, ok, role, superuser, say }) =>
          `${ok ? 'yes' : 'no '}  ${rung}${role === undefined ? '' : ` as ${role}${superuser ? ' (superuser)' : ''}`}: ${say}`,
      );
      const kinds = Object.entries(answer.generation).map(([what, { value, because }]) => `${what}: ${String(value)} (${because})`);
      const text = [...lines, answer.next, '', ...kinds].join('\n');
      return { exit: answer.reachable ? exitCodes.ok : exitCodes.failed, json: answer, text };
    }),
);

const show = command('show', 'Show a target; secrets by name and reference only', { name: named }, ({ name }) =>
  withApp(async ({ registry }) => {
    const { createdAt, ...row } = await registry.target(name);
    const json = { ...row, createdAt: new Date(createdAt).toISOString() };
    return { exit: exitCodes.ok, json, text: `${row.name} (${row.kind})\n${indented(row.record)}` };
  }),
);

const remove = command('remove', 'Forget a target; the instance stays as it is', { name: named }, ({ name }) =>
  withApp(async ({ registry, operations }) => {
    await registry.removeTarget(name);
    await operations.note(`targets remove ${name}`, cliCaller());
    return { exit: exitCodes.ok, json: { removed: name }, text: `Forgot the target ${name}.` };
  }),
);

export const targets = defineCommand({
  meta: { name: 'targets', description: 'Look at and register Supabase instances' },
  subCommands: { list, add, test, show, remove },
});
