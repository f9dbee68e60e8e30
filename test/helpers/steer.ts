/** The other end of steered-desk.ts. */
import type { Child, Children, StartOptions } from './children.ts';
import type { Answer, Command } from './steered-desk.ts';

export type Steered = Child & {
  /** How opening ended. */
  opened: Answer;
  ask(command: Command): Promise<Answer>;
  /** The answer's value; throws what was refused. */
  do(command: Command): Promise<Record<string, unknown>>;
  /** The code of a refused command, or `accepted`. */
  codeOf(command: Command): Promise<string>;
};

export type SteeredOptions = StartOptions & {
  home: string;
  world: string;
  work?: boolean;
  /** The compiled steered-desk.js of another build. */
  program?: string;
  dieAt?: readonly [point: string, effect: string];
};

/** Starts a steered desk and waits until it opened its home or was refused. */
export async function steer(
  children: Children,
  { home, world, work = false, program, dieAt, ...options }: SteeredOptions,
): Promise<Steered> {
  const child = children.start(program ?? 'steered-desk', [home, world, work ? 'work' : 'rest', ...(dieAt ?? [])], options);
  const opened: Answer = JSON.parse(await child.line()); // steered-desk.ts answers in this shape
  const ask = async (command: Command): Promise<Answer> => {
    child.send(JSON.stringify(command));
    return JSON.parse(await child.line());
  };
  return {
    ...child,
    opened,
    ask,
    async do(command) {
      const answer = await ask(command);
      if ('refused' in answer) throw new Error(`${command.do} was refused: ${answer.refused.code} ${answer.refused.message}`);
      return answer.ok;
    },
    async codeOf(command) {
      const answer = await ask(command);
      return 'refused' in answer ? answer.refused.code : 'accepted';
    },
  };
}

/** The code with which opening was refused, or `opened`. */
export function openedAs({ opened }: Steered): string {
  return 'refused' in opened ? opened.refused.code : 'opened';
}
