/**
 * The recovery sheet: everything that opens the backups, on one page of paper. Pure. Invariants:
 * 1. What was typed from paper with a slip is found by the check of its line.
 * 2. The confirmation word stands on the sheet alone: who can say it has the sheet.
 */
import { createHash, createHmac } from 'node:crypto';
import { AppError } from '../../errors.ts';

export type SheetKey = { keyId: string; version: number; passphrase: string };

const alphabet = '23456789abcdefghjkmnpqrstuvwxyz';

function letters(bytes: Buffer, count: number): string {
  return [...bytes.subarray(0, count)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

const checkOf = ({ keyId, version, passphrase }: SheetKey): string =>
  letters(createHash('sha256').update(`check|${keyId}|${version}|${passphrase}`).digest(), 4);

/** Six letters that follow from all passphrases. */
export function confirmationWord(keys: readonly SheetKey[]): string {
  const mac = createHmac('sha256', 'capstan recovery sheet');
  for (const { keyId, passphrase } of [...keys].sort((a, b) => a.version - b.version)) mac.update(`${keyId}|${passphrase}\n`);
  return letters(mac.digest(), 6);
}

export function writeSheet(keys: readonly SheetKey[], madeAt: string): string {
  return `${[
    'CAPSTAN RECOVERY SHEET',
    '',
    'Whoever holds this sheet can open every backup made with these keys. Keep it away from the machine that makes them.',
    `Made ${madeAt}`,
    '',
    ...[...keys]
      .sort((a, b) => a.version - b.version)
      .flatMap((key) => [`key ${key.keyId} version ${key.version} check ${checkOf(key)}`, `passphrase ${key.passphrase}`, '']),
    `confirmation word: ${confirmationWord(keys)}   (type it after: capstan key confirm)`,
    '',
    'On a new machine:   capstan key import --file THIS-FILE',
    '                    capstan backups adopt --target TARGET --store STORE',
    'Without Capstan:    gpg -d FILE.dump.zst.pgp | zstd -d | pg_restore --list',
  ].join('\n')}\n`;
}

/** Throws SHEET_INVALID naming the line that does not fit. */
export function readSheet(text: string): SheetKey[] {
  const keys = [...text.matchAll(/^key (\S+) version (\d+) check (\S+)[ \t]*\r?\n[ \t]*passphrase (.+?)[ \t]*\r?$/gm)].map(
    ([, keyId = '', version = '', check = '', passphrase = '']) => ({ keyId, version: Number(version), check, passphrase }),
  );
  if (keys.length === 0) throw invalid('it holds no key');
  for (const { check, ...key } of keys)
    if (checkOf(key) !== check) throw invalid(`the passphrase of the key ${key.keyId} was not copied as it stands`);
  return keys.map(({ check: _, ...key }) => key);
}

function invalid(what: string): AppError {
  return new AppError('SHEET_INVALID', {
    message: `The recovery sheet cannot be used: ${what}.`,
    fix: 'Give the file as capstan key export wrote it, or type it again from the paper.',
  });
}
