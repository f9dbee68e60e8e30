import { randomBytes } from 'node:crypto';

/** An id as Dokploy makes them: 21 characters of A-Z, a-z, 0-9, - and _. */
export const newId = (): string => randomBytes(16).toString('base64url').slice(0, 21);

const suffixLetters = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** Random lower-case letters and digits. */
export const randomLetters = (length: number): string =>
  [...randomBytes(length)].map((byte) => suffixLetters[byte % suffixLetters.length]).join('');
