import { defineCommand } from 'citty';
import { AppError } from '../../errors.ts';
import { cliCaller } from '../approve-here.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { askSecret, requireTerminal } from '../terminal.ts';

const init = command(
  'init',
  'Make the approver key: its passphrase seals approvals for targets tagged production (terminal only)',
  { replace: { type: 'boolean', description: 'Put a new key in place of the present one, whose passphrase is asked for' } },
  async ({ replace }) => {
    requireTerminal('The passphrase of an approver key');
    return withApp(async ({ approver, operations }) => {
      if ((await approver.exists()) && replace !== true)
        throw new AppError('APPROVER_EXISTS', {
          message: 'There is an approver key already.',
          fix: 'To put another in its place, with its passphrase: capstan approver init --replace.',
        });
      const present = replace === true ? await askSecret('Passphrase of the present approver key') : undefined;
      const passphrase = await askSecret('New passphrase: at least 12 characters, known to the person who approves and to nobody else');
      if ((await askSecret('The same once more')) !== passphrase)
        throw new AppError('PASSPHRASE_DIFFERS', { message: 'The two passphrases differ; no key was made.', fix: 'Run it again.' });
      const made = await approver.init(passphrase, present, cliCaller());
      await operations.note(`approver init ${made.keyId}`, cliCaller());
      const text = `The approver key ${made.keyId} is made. Approvals for targets tagged ${approver.sealedTags.join(', ')} now ask for its passphrase.\nStanding rules of an earlier key are void.`;
      return { exit: exitCodes.ok, json: made, text };
    });
  },
);

const show = command('show', 'Show the id of the approver key and which tags ask for it', {}, () =>
  withApp(async ({ approver }) => {
    const info = await approver.info();
    const tags = approver.sealedTags.join(', ') || 'none';
    const text = info ? `Approver key ${info.keyId}, since ${info.since}.` : 'There is no approver key: capstan approver init makes one.';
    return {
      exit: exitCodes.ok,
      json: { key: info ?? null, sealedTags: approver.sealedTags },
      text: `${text}\nTags that ask for it: ${tags}.`,
    };
  }),
);

export const approver = defineCommand({
  meta: { name: 'approver', description: 'The key that seals approvals for production' },
  subCommands: { init, show },
});
