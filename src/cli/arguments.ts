/**
 * What citty does not do by itself: unknown flags, commands, missing values and left-over words are refused,
 * each naming the nearest known one. Pure; throws AppError USAGE.
 */
import type { ArgDef, ArgsDef } from 'citty';
import { AppError } from '../errors.ts';
import { nearest } from './nearest.ts';

/** Throws USAGE for a raw argument that the declarations do not know. */
export function checkArguments(command: string, raw: readonly string[], args: ArgsDef): void {
  const words: string[] = [];
  const given = new Set<string>();
  for (let index = 0; index < raw.length; index++) {
    const word = raw[index] ?? '';
    if (word === '--') {
      words.push(...raw.slice(index + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    const { flag, takes } = checkFlag(command, word, raw[index + 1], args);
    given.add(flag);
    index += takes;
  }
  checkWords(command, words, args);
  const missing = Object.entries(args).find(([flag, arg]) => arg.type !== 'positional' && arg.required === true && !given.has(flag));
  if (missing) throw usage(command, `${command} needs --${missing[0]}: ${missing[1].description ?? ''}.`);
}

/** Every value of a flag that may be given more than once, in order. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < raw.length && raw[index] !== '--'; index++) {
    const word = raw[index] ?? '';
    if (word.startsWith(`--${name}=`)) values.push(word.slice(name.length + 3));
    if (word === `--${name}`) values.push(raw[++index] ?? '');
  }
  return values;
}

export function usage(command: string, message: string, known?: string): AppError {
  const fix = known === undefined ? `See ${command} --help.` : `Did you mean ${known}? See ${command} --help.`;
  return new AppError('USAGE', { message, fix });
}

/** Refuses an unknown subcommand. */
export function unknownCommand(parent: string, word: string, known: readonly string[]): AppError {
  return usage(parent, `${parent} has no command ${quoted(word)}; it has: ${known.join(', ')}.`, nearest(word, known));
}

/** The flag that is meant, and how many of the following words are its value. */
function checkFlag(command: string, word: string, next: string | undefined, args: ArgsDef): { flag: string; takes: 0 | 1 } {
  const [name = '', value] = splitFlag(word);
  const flags = Object.entries(args).filter(([, arg]) => arg.type !== 'positional');
  const found = flags.find(([flag, arg]) => namesOf(flag, arg).includes(name));
  if (!found) {
    const known = flags.map(([flag]) => `--${flag}`);
    throw usage(command, `${command} has no flag ${quoted(word.split('=')[0] ?? word)}.`, nearest(name, known));
  }
  const [flag, arg] = found;
  if (arg.type === 'boolean') {
    if (value === undefined) return { flag, takes: 0 };
    throw usage(command, `The flag --${flag} takes no value.`);
  }
  const given = value ?? next;
  if (given === undefined || given === '' || (value === undefined && given.startsWith('--'))) {
    throw usage(command, `The flag --${flag} needs a value.`);
  }
  return { flag, takes: value === undefined ? 1 : 0 };
}

function splitFlag(word: string): [string, string | undefined] {
  const at = word.indexOf('=');
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function namesOf(flag: string, arg: ArgDef): string[] {
  const short =
    'alias' in arg && arg.alias !== undefined ? [arg.alias].flat().map((alias) => (alias.length === 1 ? `-${alias}` : `--${alias}`)) : [];
  return [`--${flag}`, ...short, ...(arg.type === 'boolean' && arg.default === true ? [`--no-${flag}`] : [])];
}

function checkWords(command: string, words: readonly string[], args: ArgsDef): void {
  const places = Object.entries(args).filter(([, arg]) => arg.type === 'positional');
  const extra = words[places.length];
  if (extra !== undefined) throw usage(command, `${command} does not know what to do with ${quoted(extra)}.`);
  const missing = places.slice(words.length).find(([, arg]) => arg.required !== false);
  if (missing) throw usage(command, `${command} needs ${missing[0].toUpperCase()}: ${missing[1].description ?? ''}.`);
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
