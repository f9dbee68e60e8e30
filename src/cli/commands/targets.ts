import { defineCommand } from 'citty';
import type { StagedSecret } from '../../engine/ports.ts';
import { cliCaller } from '../approve-here.ts';
import { usage, valuesOf } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { namedReferences } from '../references.ts';
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
  'Register a Supabase instance',
  {
    name: named,
    url: { type: 'string', required: true, description: 'Its address, such as https://supabase.example.com' },
    kind: { type: 'string', description: `One of: ${kinds.join(', ')}. Default: self-hosted` },
    secret: {
      type: 'string',
      valueHint: 'NAME=env:X',
      description: 'A secret by reference, such as serviceRoleKey=env:KEY; may be given more than once',
    },
    tag: { type: 'string', description: 'Such as production; may be given more than once' },
  },
  ({ name, url: typed, kind = 'self-hosted' }, raw) =>
    withApp(async ({ registry, vault, operations, readAddress }) => {
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
        throw usage('capstan targets add', 'The name has letters, digits, dots, hyphens and underscores, at most 64.');
      if (!kinds.some((known) => known === kind)) throw usage('capstan targets add', `--kind is one of: ${kinds.join(', ')}.`);
      const { url, warnings } = await readAddress({ url: typed, allowPath: true });
      const secrets: Record<string, string> = {};
      const staged: StagedSecret[] = [];
      for (const [secret, reference] of namedReferences('capstan targets add', 'secret', valuesOf(raw, 'secret'))) {
        const handed = await vault.handOver(reference, `target:${name}`, secret);
        secrets[secret] = handed.reference;
        if (handed.staged) staged.push(handed.staged);
      }
      const tags = valuesOf(raw, 'tag');
      await registry.addTarget({ name, kind, tags, record: { url, secrets, facts: {} } }, staged);
      await operations.note(`targets add ${name}`, cliCaller());
      const text = [`Stored the target ${name} at ${url}.`, ...warnings.map(({ code, say }) => `${code}: ${say}`)].join('\n');
      return { exit: exitCodes.ok, json: { name, kind, url, tags, secrets: Object.keys(secrets), warnings }, text };
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
  subCommands: { list, add, show, remove },
});
