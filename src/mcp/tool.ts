/** A tool: its definition (plain data, what `tools/list` shows) apart from its behaviour. */
import type { z } from 'zod';
import type { Answer, Caller } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { McpApp } from './app-port.ts';
import type { AdvanceArguments, HandedOver } from './secret-asking.ts';

/** All four are said, since a client assumes the worst of what is left out. */
export type Annotations = { readOnlyHint: boolean; destructiveHint: boolean; idempotentHint: boolean; openWorldHint: boolean };

export type ToolDefinition<I extends z.ZodObject = z.ZodObject> = {
  name: string;
  description: string;
  /** Strict: an unknown argument is refused with the known ones named. */
  input: I;
  /** JSON Schema, shallow; more properties are allowed. */
  output: Record<string, unknown>;
  annotations: Annotations;
  /** What it destroys needs a person's yes first: its behaviour goes through `call.approved`. */
  asks?: true;
  /** Only a connection with this role may call it. */
  needs?: 'approver';
  /** Only looks unless this argument is true. */
  looksUnless?: string;
  /** Takes no run and no target, and shows of the house only what its connection may see. */
  scoped?: true;
};

/** Plain JSON that becomes structuredContent. */
export type Structured = Record<string, unknown>;

/** A question to the person at the client, and what to send again with the answer. */
export type Question = { ask: 'person'; requestState: string; message: string /** An address to open instead of a form. */; url?: string };

export type ToolCall = {
  app: McpApp;
  caller: Caller;
  /** Fires when the client cancels the request. */
  signal: AbortSignal;
  /** Sends a progress notification where the client gave a token. */
  progress(say: string, percent?: number): void;
  /** Does what may need a person's yes, and asks for it where the client can (engine.md A2). */
  approved(act: () => Promise<Answer>): Promise<Answer | Question>;
  /** Puts references where the payload says `ask:person`, after a person typed the values; else what to answer instead (design §6). */
  handedOver(request: AdvanceArguments): Promise<HandedOver>;
};

export type Tool = {
  definition: ToolDefinition;
  run(args: unknown, call: ToolCall): Promise<Structured | Question>;
};

/** Ties behaviour to a definition; arguments are parsed before it runs. */
export function defineTool<I extends z.ZodObject>(
  definition: ToolDefinition<I>,
  run: (args: z.infer<I>, call: ToolCall) => Promise<Structured | Question>,
): Tool {
  return { definition, run: async (args, call) => run(parseArguments(definition, args), call) };
}

/** True for a question instead of an answer. */
export function isQuestion(result: Structured | Question): result is Question {
  return 'ask' in result && result['ask'] === 'person';
}

/** Throws ARGUMENTS_INVALID with what is wrong and what is known. */
export function parseArguments<I extends z.ZodObject>(definition: Pick<ToolDefinition<I>, 'name' | 'input'>, args: unknown): z.infer<I> {
  const parsed = definition.input.safeParse(args ?? {});
  if (parsed.success) return parsed.data;
  const known = Object.keys(definition.input.shape);
  const issues = parsed.error.issues.map((issue) => `${issue.path.map(String).join('.') || 'arguments'}: ${issue.message}`);
  throw new AppError('ARGUMENTS_INVALID', {
    message: `The arguments of ${definition.name} are not right: ${issues.join('; ').slice(0, 800)}.`,
    fix: known.length === 0 ? 'It takes no arguments.' : `It takes: ${known.join(', ')}.`,
    details: { known, issues },
  });
}

/** Throws SECRET_IN_ARGUMENT when an argument holds a known secret or looks like one (design §6). */
export function refuseSecrets(tool: string, args: unknown, scrub: (text: string) => string, path = ''): void {
  if (typeof args === 'string') {
    if (scrub(args) === args) return;
    throw new AppError('SECRET_IN_ARGUMENT', {
      message: `The argument ${path} of ${tool} looks like a secret, and secrets are never taken as arguments.`,
      fix: 'Put the value into an environment variable or a file of the machine that runs Capstan and send env:NAME or file:PATH; treat the value as leaked.',
    });
  }
  if (typeof args !== 'object' || args === null) return;
  for (const [key, value] of Object.entries(args)) refuseSecrets(tool, value, scrub, path === '' ? key : `${path}.${key}`);
}
