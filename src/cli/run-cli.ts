import { stripVTControlCharacters } from 'node:util';
import { type CommandDef, type Resolvable, renderUsage, runCommand } from 'citty';
import { checkArguments, unknownCommand, usage } from './arguments.ts';
import { exitCodesText } from './exit-codes.ts';
import { reportError } from './output.ts';
import { root } from './root.ts';

/** Runs one command line and ends the process with its exit code. */
export async function runCli(argv: readonly string[]): Promise<void> {
  try {
    await dispatch(argv);
  } catch (error) {
    reportError(error, argv.includes('--json'));
  }
  // Open sockets of a client that is done would hold the process; what was printed is written first.
  process.stdout.write('', () => process.stderr.write('', () => process.exit()));
}

async function dispatch(argv: readonly string[]): Promise<void> {
  const { command, parent, path, rest } = await find(argv);
  if (rest.includes('--help') || rest.includes('-h')) return help(command, parent, path);
  if (command.subCommands)
    throw usage(path, `${path} needs one of its commands: ${Object.keys(await resolve(command.subCommands)).join(', ')}.`);
  checkArguments(path, rest, (await resolve(command.args)) ?? {});
  await runCommand(command, { rawArgs: rest });
}

type Found = { command: CommandDef; parent: CommandDef | undefined; path: string; rest: string[] };

/** Walks from the root to the command that is meant; without a word it is `serve`. */
async function find(argv: readonly string[]): Promise<Found> {
  let found: Found = { command: root, parent: undefined, path: 'capstan', rest: [...argv] };
  for (;;) {
    const subcommands = await resolve(found.command.subCommands);
    if (!subcommands) return found;
    const isRoot = found.parent === undefined && found.path === 'capstan';
    const [word, ...rest] = found.rest;
    if (word === '--help' || word === '-h' || (word === undefined && !isRoot)) return found;
    const name = word === undefined || (isRoot && word.startsWith('-')) ? 'serve' : word;
    const known = Object.keys(subcommands);
    const next = known.includes(name) ? subcommands[name] : undefined;
    if (next === undefined) throw unknownCommand(found.path, name, known);
    found = { command: await resolve(next), parent: found.command, path: `${found.path} ${name}`, rest: name === word ? rest : found.rest };
  }
}

async function resolve<T>(value: Resolvable<T>): Promise<T> {
  return typeof value === 'function' ? (value as () => T | Promise<T>)() : value; // citty's Resolvable: a function is never the value itself
}

async function help(command: CommandDef, parent: CommandDef | undefined, path: string): Promise<void> {
  const text = await renderUsage(command, parent);
  const whole = path === 'capstan' ? `${text}\n\n${exitCodesText}` : text;
  console.log(process.stdout.isTTY ? whole : stripVTControlCharacters(whole));
}
