/** Secrets as the owner hands them over at the command line: by reference, never the value (engine.md S2). */
import { AppError } from '../errors.ts';
import { usage } from './arguments.ts';
import { splitSetting } from './script.ts';

/** The same text if it is `env:NAME` or `file:PATH`. Throws SECRET_IN_ARGUMENT, which never repeats the value. */
export function requireReference(flag: string, text: string): string {
  if (/^(env|file):.+$/s.test(text)) return text;
  throw new AppError('SECRET_IN_ARGUMENT', {
    message: `--${flag} takes a reference, and what was given is none; a value in the arguments can be read by every process of this machine.`,
    fix: `Give --${flag} env:NAME or file:PATH, and treat a value that stood there as leaked.`,
  });
}

/** `NAME=env:X` pairs. Throws USAGE and SECRET_IN_ARGUMENT. */
export function namedReferences(command: string, flag: string, values: readonly string[]): [name: string, reference: string][] {
  return values.map((value) => {
    if (!value.includes('=')) throw usage(command, `--${flag} is of the form NAME=env:VARIABLE or NAME=file:PATH.`);
    const [name, reference] = splitSetting(command, value);
    return [name, requireReference(flag, reference)];
  });
}
