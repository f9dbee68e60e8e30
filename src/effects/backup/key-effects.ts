/** The first passphrase of a home, and what is said until somebody keeps a copy of it elsewhere. */
import { randomBytes, randomInt } from 'node:crypto';
import { prepareKey as contract } from '../../../machines/effects/backup.ts';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { defineHandler } from '../handler.ts';
import type { BackupDeps } from './deps.ts';

// Without letters and digits that are mistaken for each other when they are read from paper.
const alphabet = '23456789abcdefghjkmnpqrstuvwxyz';

/** 198 bits in eight groups of five, to be read aloud and typed. */
export function makePassphrase(): string {
  const group = () => Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join('');
  return Array.from({ length: 8 }, group).join('-');
}

export const makeKeyId = (): string => `bk-${randomBytes(5).toString('hex')}`;

export const notEscrowed: Warning = {
  code: 'KEY_NOT_ESCROWED',
  say: 'The key of the backups exists on this machine only: if it is lost, no backup can be opened. Print it: capstan key export --to FILE, then capstan key confirm.',
};

export function prepareKey(deps: BackupDeps) {
  return defineHandler(contract, {
    async run(ctx) {
      const [current] = await deps.backups.keys();
      const recipients = await deps.backups.recipients();
      const kept = recipients.length > 0 || (current !== undefined && current.confirmedAt !== null);
      const warnings = kept ? [] : [notEscrowed];
      if (current) return { keyId: current.keyId, version: current.version, made: false, warnings };
      const keyId = makeKeyId();
      ctx.saveBackup({ key: { keyId, version: 1, secret: ctx.secrets.mint('backup key 1', makePassphrase()) } });
      return { keyId, version: 1, made: true, warnings };
    },
  });
}
