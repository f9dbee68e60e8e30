import { defineCommand } from 'citty';
import type { StagedSecret } from '../../engine/ports.ts';
import { AppError } from '../../errors.ts';
import { cliCaller } from '../approve-here.ts';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { note } from '../output.ts';
import { table } from '../render.ts';
import { whole } from '../whole.ts';

const target = { type: 'string', description: 'Only those of this target' } as const;
const storeFlag = { type: 'string', description: 'Name of a backup store; default: local' } as const;

const list = command('list', 'The backups of the index, newest first', { target }, ({ target: only }) =>
  withApp(async ({ listBackups }) => {
    const rows = await listBackups(only);
    return {
      exit: exitCodes.ok,
      json: { backups: rows },
      text: table(rows, ['id', 'target', 'kind', 'bytes', 'store', 'madeAt', 'verifiedAt']),
    };
  }),
);

const verify = command(
  'verify',
  'Read a backup whole: manifest, hashes, decryption, pg_restore --list, rows counted again',
  { id: { type: 'positional', required: true, description: 'as backups list shows it' } },
  ({ id }) =>
    withApp(async ({ verifyBackup }) => {
      const json = await verifyBackup(id, undefined, (say, percent) => note(percent === undefined ? say : `${say} (${percent} %)`));
      return {
        exit: exitCodes.ok,
        json,
        text: `The backup ${id} is whole: ${json.files} files, ${json.tables} tables, ${json.rows} rows.`,
      };
    }),
);

const adopt = command(
  'adopt',
  'Take backups into the index that another home made; their key must be here (capstan key import)',
  { target: { type: 'string', required: true, description: 'The target as it was named there' }, store: storeFlag },
  ({ target: name, store = 'local' }) =>
    withApp(async ({ adoptBackups, operations }) => {
      const rows = await adoptBackups(name, store);
      await operations.note(`backups adopt ${name} from ${store}: ${rows.length}`, cliCaller());
      return {
        exit: exitCodes.ok,
        json: { adopted: rows },
        text: rows.length === 0 ? `There is no backup of ${name} in ${store}.` : rows.join('\n'),
      };
    }),
);

const stores = command('stores', 'Where backups may lie', {}, () =>
  withApp(async ({ backups }) => {
    const rows = (await backups.stores()).map(({ name, record }) => ({
      name,
      kind: record.kind,
      place: record.kind === 'folder' ? record.folder : `${record.endpoint ?? 'AWS'} ${record.bucket}/${record.prefix}`,
    }));
    return { exit: exitCodes.ok, json: { stores: rows }, text: table(rows, ['name', 'kind', 'place']) };
  }),
);

const storeAdd = command(
  'store-add',
  'Register a folder or a bucket for backups',
  {
    name: { type: 'positional', required: true, description: 'name of the store' },
    folder: { type: 'string', description: 'An absolute path on this machine' },
    bucket: { type: 'string', description: 'A bucket of S3 or a compatible store' },
    endpoint: { type: 'string', description: 'Its address, such as https://s3.example.com; left out: AWS' },
    region: { type: 'string', description: 'Default: us-east-1' },
    prefix: { type: 'string', description: 'A folder inside the bucket' },
    'access-key': { type: 'string', valueHint: 'env:NAME', description: 'Access key id by reference' },
    'secret-key': { type: 'string', valueHint: 'env:NAME', description: 'Secret access key by reference' },
    timeout: { type: 'string', valueHint: 'SECONDS', description: 'How long one request may be silent; default: 60' },
    'without-checksums': {
      type: 'boolean',
      description: 'For a store that refuses the SHA-256 of each part; its size is compared instead',
    },
    'virtual-host': { type: 'boolean', description: 'Address the bucket as a host name; default: as a path where an endpoint is given' },
  },
  ({
    name,
    folder,
    bucket,
    endpoint,
    region = 'us-east-1',
    prefix = '',
    'access-key': access,
    'secret-key': secret,
    timeout,
    'without-checksums': withoutChecksums,
    'virtual-host': virtual,
  }) =>
    withApp(async ({ backups, vault, operations }) => {
      const say = 'capstan backups store-add';
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
        throw usage(say, 'The name has letters, digits, dots, hyphens and underscores, at most 64.');
      if ((folder === undefined) === (bucket === undefined)) throw usage(say, 'Give either --folder or --bucket.');
      if (folder !== undefined) {
        if (!folder.startsWith('/') && !/^[A-Za-z]:[\\/]/.test(folder)) throw usage(say, '--folder is an absolute path.');
        await backups.addStore({ name, record: { kind: 'folder', folder } }, []);
      } else {
        if (access === undefined || secret === undefined)
          throw usage(say, 'A bucket needs --access-key and --secret-key, both as env:NAME or file:PATH.');
        const staged: StagedSecret[] = [];
        const keep = async (reference: string, what: string) => {
          const handed = await vault.handOver(reference, `store:${name}`, what);
          if (handed.staged) staged.push(handed.staged);
          return handed.reference;
        };
        const record = {
          kind: 's3' as const,
          ...(endpoint === undefined ? {} : { endpoint }),
          region,
          bucket: bucket ?? '',
          prefix: prefix.replace(/^\/+|\/+$/g, ''),
          pathStyle: endpoint !== undefined && virtual !== true,
          ...(timeout === undefined ? {} : { timeoutMs: whole(say, 'timeout', timeout, 3_600) * 1_000 }),
          ...(withoutChecksums === true ? { checksums: false } : {}),
          accessKeyId: await keep(access, 'access key'),
          secretAccessKey: await keep(secret, 'secret key'),
        };
        await backups.addStore({ name, record }, staged);
      }
      await operations.note(`backups store-add ${name}`, cliCaller());
      return { exit: exitCodes.ok, json: { name }, text: `Stored the backup store ${name}.` };
    }),
);

const storeRemove = command(
  'store-remove',
  'Forget a backup store; nothing in it is touched',
  { name: { type: 'positional', required: true, description: 'name of the store' } },
  ({ name }) =>
    withApp(async ({ backups, operations }) => {
      await backups.removeStore(name);
      await operations.note(`backups store-remove ${name}`, cliCaller());
      return { exit: exitCodes.ok, json: { removed: name }, text: `Forgot the backup store ${name}.` };
    }),
);

const schedules = command('schedules', 'Backups that capstan worker starts by the clock', {}, () =>
  withApp(async (app) => {
    const rows = (await app.schedules.list()).map(({ name, record, dueAt, last }) => ({
      name,
      cron: `${record.cron} ${record.timezone}`,
      target: String(record.input['target']),
      dueAt: new Date(dueAt).toISOString(),
      last: last === null ? '' : JSON.stringify(last),
    }));
    return { exit: exitCodes.ok, json: { schedules: rows }, text: table(rows, ['name', 'target', 'cron', 'dueAt', 'last']) };
  }),
);

const scheduleAdd = command(
  'schedule-add',
  'Let capstan worker back a target up by the clock; refused until the key is kept elsewhere',
  {
    name: { type: 'positional', required: true, description: 'name of the schedule' },
    target: { type: 'string', required: true, description: 'The target to back up' },
    cron: { type: 'string', required: true, description: 'minute hour day month weekday, such as "30 3 * * *"' },
    timezone: { type: 'string', description: 'Such as Europe/Berlin; default: UTC' },
    store: storeFlag,
    kind: { type: 'string', description: 'full (default), schema or data' },
  },
  ({ name, target: of, cron, timezone = 'UTC', store, kind }) =>
    withApp(async (app) => {
      if (kind !== undefined && !['full', 'schema', 'data'].includes(kind))
        throw usage('capstan backups schedule-add', '--kind is full, schema or data.');
      if (store !== undefined) await app.backups.store(store);
      const input = { target: of, ...(store === undefined ? {} : { store }), ...(kind === undefined ? {} : { kind }) };
      const { dueAt } = await app.schedules.add({ name, cron, timezone, input });
      await app.operations.note(`backups schedule-add ${name}`, cliCaller());
      const at = new Date(dueAt).toISOString();
      return {
        exit: exitCodes.ok,
        json: { name, dueAt: at },
        text: `The first backup of ${of} starts at ${at}, if capstan worker runs then.`,
      };
    }),
);

const scheduleRemove = command(
  'schedule-remove',
  'No longer back up by this schedule',
  { name: { type: 'positional', required: true, description: 'name of the schedule' } },
  ({ name }) =>
    withApp(async (app) => {
      if (!(await app.schedules.remove(name)))
        throw new AppError('SCHEDULE_UNKNOWN', {
          message: `There is no schedule ${name.slice(0, 60)}.`,
          fix: 'See: capstan backups schedules.',
        });
      await app.operations.note(`backups schedule-remove ${name}`, cliCaller());
      return { exit: exitCodes.ok, json: { removed: name }, text: `Removed the schedule ${name}.` };
    }),
);

export const backups = defineCommand({
  meta: { name: 'backups', description: 'Look at backups, verify them, and say where they lie' },
  subCommands: {
    list,
    verify,
    adopt,
    stores,
    'store-add': storeAdd,
    'store-remove': storeRemove,
    schedules,
    'schedule-add': scheduleAdd,
    'schedule-remove': scheduleRemove,
  },
});
