/** Questions to the person at the terminal; they go to stderr, so that stdout keeps the result alone. */
import { AppError } from '../errors.ts';

/** True when a person can answer here. */
export function isTerminal(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Throws TERMINAL_REQUIRED where nobody could answer. */
export function requireTerminal(what: string): void {
  if (isTerminal()) return;
  throw new AppError('TERMINAL_REQUIRED', {
    message: `${what} needs a person at a terminal, and standard input or error is none.`,
    fix: 'Run it by hand in a terminal; no flag answers instead of a person.',
  });
}

type Check = (value: string | undefined) => string | undefined;

export async function askText(message: string, options: { placeholder?: string; validate?: Check } = {}): Promise<string> {
  const { text } = await import('@clack/prompts');
  return answered<string>(await text({ message, output: process.stderr, ...options }));
}

export async function askSecret(message: string): Promise<string> {
  const { password } = await import('@clack/prompts');
  return answered<string>(
    await password({ message, output: process.stderr, validate: (value) => (value ? undefined : 'Give a value, or press Ctrl-C.') }),
  );
}

export async function askYes(message: string): Promise<boolean> {
  const { confirm } = await import('@clack/prompts');
  return answered<boolean>(await confirm({ message, output: process.stderr, initialValue: false }));
}

export async function askChoice(message: string, options: { value: string; label: string }[]): Promise<string> {
  const { select } = await import('@clack/prompts');
  return answered<string>(await select<string>({ message, output: process.stderr, options }));
}

/** True when the person typed exactly this; anything else is no (engine.md A2). */
export async function typesExactly(message: string, expected: string): Promise<boolean> {
  return (await askText(message)) === expected;
}

/** clack answers Ctrl-C with a symbol. */
function answered<T extends string | boolean>(answer: T | symbol): T {
  if (typeof answer !== 'symbol') return answer;
  throw new AppError('INTERRUPTED', {
    message: 'The question was not answered.',
    fix: 'Nothing was changed by it; start the command again when you are ready.',
  });
}
