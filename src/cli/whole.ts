import { usage } from './arguments.ts';

/** A whole number from 1 on, from the text of a flag. Throws USAGE. */
export function whole(command: string, flag: string, text: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw usage(command, `--${flag} takes a whole number from 1${max === Number.MAX_SAFE_INTEGER ? ' on' : ` to ${max}`}.`);
}
