import { readFile } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { AppError } from '../../errors.ts';
import { cliCaller } from '../approve-here.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';
import { askText, requireTerminal, typesExactly } from '../terminal.ts';

const show = command('show', 'The keys of the backups and who else can open them; never a passphrase', {}, () =>
  withApp(async ({ backupKeys }) => {
    const json = await backupKeys.list();
    const text = [
      table(json.keys, ['keyId', 'version', 'current', 'confirmed', 'madeAt']),
      ...(json.recipients.length === 0 ? [] : [table(json.recipients, ['fingerprint', 'user'])]),
      json.escrowed ? 'A copy is kept elsewhere.' : 'KEY_NOT_ESCROWED: no copy of the current key is known to be kept elsewhere.',
    ].join('\n');
    return { exit: exitCodes.ok, json, text };
  }),
);

const exportKey = command(
  'export',
  'Write the recovery sheet, which opens every backup, into a new file (terminal only)',
  { to: { type: 'string', required: true, description: 'A new file; print it or keep it away from this machine' } },
  ({ to }) => {
    requireTerminal('Exporting the keys');
    return withApp(async ({ backupKeys, operations }) => {
      if (!(await typesExactly('The sheet opens every backup. To write it, type: export', 'export')))
        throw new AppError('NOT_CONFIRMED', { message: 'Something else was typed, so nothing was written.', fix: 'Run it again.' });
      const { keys } = await backupKeys.exportSheet(to);
      await operations.note('key export', cliCaller());
      const text = `Wrote ${keys} keys to ${to}. Move it off this machine, then: capstan key confirm`;
      return { exit: exitCodes.ok, json: { file: to, keys }, text };
    });
  },
);

const confirm = command(
  'confirm',
  'Say the confirmation word of the sheet: from then on backups may run by the clock (terminal only)',
  {},
  () => {
    requireTerminal('Confirming the recovery sheet');
    return withApp(async ({ backupKeys, operations }) => {
      const json = await backupKeys.confirm(await askText('Confirmation word of the recovery sheet'));
      await operations.note('key confirm', cliCaller());
      return { exit: exitCodes.ok, json, text: `Confirmed ${json.confirmed} keys.` };
    });
  },
);

const fileArgument = { type: 'string', required: true, description: 'The file' } as const;

const importKey = command('import', 'Take in the keys of a recovery sheet', { file: fileArgument }, ({ file }) =>
  withApp(async ({ backupKeys, operations }) => {
    const json = await backupKeys.importSheet(await textOf(file));
    await operations.note(`key import ${json.imported.join(' ')}`, cliCaller());
    return { exit: exitCodes.ok, json, text: `Imported: ${json.imported.join(', ')}.` };
  }),
);

const rotate = command(
  'rotate',
  'A new key for the backups to come; the older ones stay readable',
  { passphrase: { type: 'string', valueHint: 'env:NAME', description: 'A passphrase of your own by reference; left out: one is made' } },
  ({ passphrase }) =>
    withApp(async ({ backupKeys, operations }) => {
      const json = await backupKeys.rotate(passphrase);
      await operations.note(`key rotate ${json.keyId}`, cliCaller());
      const text = `The key ${json.keyId} is version ${json.version}. Print a new sheet: capstan key export --to FILE`;
      return { exit: exitCodes.ok, json, text };
    }),
);

const recipientAdd = command(
  'recipient-add',
  'Let the owner of an OpenPGP key open every backup to come',
  { file: fileArgument },
  ({ file }) =>
    withApp(async ({ backupKeys, operations }) => {
      const json = await backupKeys.addRecipient(await textOf(file));
      await operations.note(`key recipient-add ${json.fingerprint}`, cliCaller());
      return { exit: exitCodes.ok, json, text: `Added ${json.fingerprint} (${json.user}).` };
    }),
);

const recipientRemove = command(
  'recipient-remove',
  'From now on no longer; what was written stays readable for them',
  { fingerprint: { type: 'positional', required: true, description: 'as key show lists it' } },
  ({ fingerprint }) =>
    withApp(async ({ backupKeys, operations }) => {
      const removed = await backupKeys.removeRecipient(fingerprint);
      if (!removed)
        throw new AppError('RECIPIENT_UNKNOWN', {
          message: `There is no recipient ${fingerprint.slice(0, 60)}.`,
          fix: 'See: capstan key show.',
        });
      await operations.note(`key recipient-remove ${fingerprint}`, cliCaller());
      return { exit: exitCodes.ok, json: { removed: fingerprint }, text: `Removed ${fingerprint}.` };
    }),
);

export const key = defineCommand({
  meta: { name: 'key', description: 'The keys of the backups: recovery sheet, rotation, recipients' },
  subCommands: {
    show,
    export: exportKey,
    confirm,
    import: importKey,
    rotate,
    'recipient-add': recipientAdd,
    'recipient-remove': recipientRemove,
  },
});

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `The file ${file} cannot be read.`, fix: 'Check its name and your rights.', cause });
  }
}
