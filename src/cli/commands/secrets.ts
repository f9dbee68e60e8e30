import { defineCommand } from 'citty';
import type { App } from '../../app.ts';
import { AppError } from '../../errors.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { note } from '../output.ts';
import { requireTerminal, typesExactly } from '../terminal.ts';

/** The one place where a value leaves in clear, to a person who asked for it by name; never with `--json`, never into a pipe. */
const show = command(
  'show',
  'Print the secrets of a target, or one secret, once (terminal only)',
  { of: { type: 'positional', required: true, description: 'name of a target, or secret:<id>' } },
  async ({ of }) => {
    requireTerminal('Showing a secret');
    if (!process.stdout.isTTY) {
      throw new AppError('TERMINAL_REQUIRED', {
        message: 'A secret is printed to a terminal only, and standard output is none.',
        fix: 'Run it without a pipe or redirection.',
      });
    }
    return withApp(async (app) => {
      const references = await referencesOf(app, of);
      if (!(await typesExactly(`To show ${references.length === 1 ? 'it' : `${references.length} values`}, type: ${of}`, of))) {
        throw new AppError('NOT_CONFIRMED', { message: 'Something else was typed, so nothing is shown.', fix: 'Run it again.' });
      }
      for (const [name, reference] of references) process.stdout.write(`${name}=${await app.vault.reveal(reference)}\n`);
      note('Shown once; clear the screen when you are done.');
      return { exit: exitCodes.ok, json: { shown: references.map(([name]) => name) }, text: '' };
    });
  },
);

export const secrets = defineCommand({ meta: { name: 'secrets', description: 'Look at stored secrets' }, subCommands: { show } });

async function referencesOf({ registry }: App, of: string): Promise<[name: string, reference: string][]> {
  if (of.startsWith('secret:')) return [['value', of]];
  const { record } = await registry.target(of);
  const stored = record['secrets'];
  const entries = typeof stored === 'object' && stored !== null ? Object.entries(stored) : [];
  const references = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  if (references.length > 0) return references;
  throw new AppError('NO_SECRETS', {
    message: `The target ${of} has no stored secrets.`,
    fix: `See what it has: capstan targets show ${of}.`,
  });
}
