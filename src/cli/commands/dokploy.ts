import { defineCommand } from 'citty';
import { dokployName } from '../../../machines/effects/shapes.ts';
import type { App, Warning } from '../../app.ts';
import type { Discovery } from '../../discovery.ts';
import type { StagedSecret } from '../../engine/ports.ts';
import { AppError } from '../../errors.ts';
import type { DokployOptions } from '../../store/registry.ts';
import { cliCaller } from '../approve-here.ts';
import { usage, valuesOf } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { note } from '../output.ts';
import { readAuthority } from '../read-authority.ts';
import { namedReferences, requireReference } from '../references.ts';
import { table } from '../render.ts';
import { askSecret, askYes, isTerminal } from '../terminal.ts';

const registerFlag = { type: 'boolean', description: 'Register every found instance as a target without asking' } as const;

const add = command(
  'add',
  'Register a Dokploy: asks it for health, version and permissions, then stores it',
  {
    name: { type: 'positional', required: true, description: 'a name for it, used everywhere else' },
    url: { type: 'string', required: true, description: 'Its address, such as http://203.0.113.7:3000' },
    key: {
      type: 'string',
      valueHint: 'env:NAME|file:PATH',
      description: 'Its API key by reference; left out at a terminal, it is asked for',
    },
    ca: { type: 'string', valueHint: 'FILE', description: 'PEM file of a certificate authority to trust besides the usual ones' },
    header: {
      type: 'string',
      valueHint: 'NAME=env:X',
      description: 'A further header, its value by reference; may be given more than once',
    },
    resolve: { type: 'string', valueHint: 'host:port:addr', description: 'As in curl; may be given more than once' },
    'template-base-url': {
      type: 'string',
      valueHint: 'URL',
      description: 'Where its templates come from. Default: https://templates.dokploy.com',
    },
    check: { type: 'boolean', default: true, description: 'Ask it before storing', negativeDescription: 'Store it without asking it' },
    register: registerFlag,
  },
  (args, raw) =>
    withApp(async (app) => {
      const name = requireName(args.name);
      await requireFree(app, name);
      const resolve = valuesOf(raw, 'resolve');
      const { url, warnings } = await app.readAddress({ url: args.url, resolve });
      const secrets = await handOver(app, name, args.key, namedReferences('capstan dokploy add', 'header', valuesOf(raw, 'header')));
      const options: DokployOptions = {
        ...(args.ca === undefined ? {} : { ca: readAuthority(args.ca) }),
        ...(Object.keys(secrets.headers).length > 0 ? { headers: secrets.headers } : {}),
        ...(resolve.length > 0 ? { resolve } : {}),
        ...(args['template-base-url'] === undefined
          ? {}
          : { templateBaseUrl: (await app.readAddress({ url: args['template-base-url'], allowPath: true })).url }),
      };
      const row = { name, url, keySecret: secrets.key, options };
      const checked = args.check === false ? undefined : await app.checkDokploy(await app.connection(row, secrets.staged));
      await app.registry.addDokploy(row, secrets.staged);
      await app.operations.note(`dokploy add ${name}`, cliCaller());
      const all = [...warnings, ...(checked?.warnings ?? [])];
      const said = checked ? `It answers as Dokploy ${checked.version}.` : 'It was not asked (--no-check).';
      const scan = checked ? await scanned(app, [name], { register: args.register === true, json: args.json === true }) : undefined;
      return {
        exit: exitCodes.ok,
        json: {
          name,
          url,
          checked: checked !== undefined,
          ...(checked ? { version: checked.version } : {}),
          warnings: all,
          ...(scan ? { scan: scan.json } : {}),
        },
        text: [`Stored the Dokploy ${name} at ${url}. ${said}`, ...all.map(warningLine), ...(scan ? [scan.text] : [])].join('\n'),
      };
    }),
);

const list = command('list', 'List the registered Dokploys', {}, () =>
  withApp(async ({ registry }) => {
    const rows = (await registry.dokploys()).map(({ name, url, options, createdAt }) => ({
      name,
      url,
      ca: options.ca !== undefined,
      headers: Object.keys(options.headers ?? {}),
      resolve: options.resolve ?? [],
      ...(options.templateBaseUrl === undefined ? {} : { templateBaseUrl: options.templateBaseUrl }),
      createdAt: new Date(createdAt).toISOString(),
    }));
    return { exit: exitCodes.ok, json: { dokploys: rows }, text: table(rows, ['name', 'url', 'ca', 'headers', 'resolve']) };
  }),
);

const remove = command(
  'remove',
  'Forget a Dokploy; nothing is changed on it',
  { name: { type: 'positional', required: true, description: 'its name' } },
  ({ name }) =>
    withApp(async ({ registry, operations }) => {
      await registry.removeDokploy(name);
      await operations.note(`dokploy remove ${name}`, cliCaller());
      return { exit: exitCodes.ok, json: { removed: name }, text: `Forgot the Dokploy ${name}.` };
    }),
);

const scan = command(
  'scan',
  'Search the registered Dokploys for Supabase instances, say what is wrong with each, and register them on confirmation',
  {
    name: { type: 'positional', required: false, description: 'only this Dokploy' },
    register: registerFlag,
  },
  ({ name, register, json }) =>
    withApp(async (app) => {
      const { json: document, text } = await scanned(app, name === undefined ? undefined : [name], {
        register: register === true,
        json: json === true,
      });
      return { exit: exitCodes.ok, json: document, text };
    }),
);

export const dokploy = defineCommand({
  meta: { name: 'dokploy', description: 'Register Dokploys and find what runs on them' },
  subCommands: { add, list, scan, remove },
});

/** Finds, shows, and registers what the person at the terminal, or --register, agrees to. */
async function scanned(app: App, names: readonly string[] | undefined, { register, json }: { register: boolean; json: boolean }) {
  const discovery = await app.discover(names);
  const strangers = discovery.found.filter(({ registered }) => !registered);
  if (strangers.length > 0 && !json && !register && isTerminal()) note(scanText(discovery));
  const agreed =
    strangers.length > 0 && (register || (!json && isTerminal() && (await askYes(`Register ${strangers.length} as targets?`))));
  const added = agreed ? await app.registerFound(strangers) : [];
  for (const target of added) await app.operations.note(`targets add ${target} (found)`, cliCaller());
  const then =
    added.length > 0
      ? [`Registered ${added.join(', ')}. What is wrong, with its fix: capstan doctor --target ${added[0]}.`]
      : strangers.length > 0
        ? [`Not registered: ${strangers.map(({ name }) => name).join(', ')}. Register them with: capstan dokploy scan --register.`]
        : [];
  return { json: { ...discovery, registered: added }, text: [scanText(discovery), ...then].join('\n') };
}

function scanText({ found, summary, unknown }: Discovery): string {
  const rows = found.map(({ name, dokploy, registered, outside, url, generation, counts, codes }) => ({
    name: registered ? name : `${name} (new)`,
    dokploy,
    project: outside.project,
    url,
    generation: generation.id,
    critical: counts.critical,
    errors: counts.error,
    what: codes.slice(0, 4).join(' '),
  }));
  return [
    `${summary}.`,
    ...(rows.length === 0 ? [] : [table(rows, ['name', 'dokploy', 'project', 'url', 'generation', 'critical', 'errors', 'what'])]),
    ...unknown.map((say) => `Not looked at: ${say}`),
  ].join('\n');
}

function requireName(text: string): string {
  const parsed = dokployName.safeParse(text);
  if (parsed.success) return parsed.data;
  throw usage(
    'capstan dokploy add',
    'The name has letters, digits, dots, hyphens and underscores, at most 64, and starts with a letter or digit.',
  );
}

/** Before anything is asked: a taken name would be refused after the questions anyway. */
async function requireFree({ registry }: App, name: string): Promise<void> {
  if (!(await registry.dokploys()).some((row) => row.name === name)) return;
  throw new AppError('DOKPLOY_EXISTS', {
    message: `There is a Dokploy named ${name} already.`,
    fix: `Take another name, or remove it first: capstan dokploy remove ${name}.`,
  });
}

type Handed = { key: string; headers: Record<string, string>; staged: StagedSecret[] };

/** Key and header values, encrypted but not stored yet: they are written together with the row. */
async function handOver({ vault }: App, name: string, key: string | undefined, headers: readonly [string, string][]): Promise<Handed> {
  const scope = `dokploy:${name}`;
  const handed: Handed = { key: '', headers: {}, staged: [] };
  const stage = async (what: string, reference: string): Promise<string> => {
    const { reference: stored, staged } = await vault.handOver(reference, scope, what);
    if (staged) handed.staged.push(staged);
    return stored;
  };
  if (key !== undefined) handed.key = await stage('apiKey', requireReference('key', key));
  else if (isTerminal()) {
    const staged = vault.stageSecret(scope, 'apiKey', await askSecret(`API key of ${name}: typed hidden, stored encrypted`));
    handed.staged.push(staged);
    handed.key = `secret:${staged.id}`;
  } else throw usage('capstan dokploy add', 'The API key is missing: give --key env:NAME or --key file:PATH.');
  for (const [header, reference] of headers) handed.headers[header] = await stage(`header ${header}`, reference);
  return handed;
}

function warningLine({ code, say }: Warning): string {
  return `${code}: ${say}`;
}
