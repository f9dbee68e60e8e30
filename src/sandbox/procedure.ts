/** How a procedure of the API is declared, and how its failures are worded. */
import { z } from 'zod';
import type { World } from './world.ts';

export type Call = {
  world: World;
  /** Says that state was really changed, and of what; goes into the journal. */
  applied(identity: Record<string, string>): void;
};

export type Procedure = {
  kind: 'query' | 'mutation';
  /** First version that has it. */
  since?: string;
  /** Parses the input (throws ZodError) and carries it out (throws ApiFailure). */
  run(input: unknown, call: Call): unknown;
};

const statusOf = { BAD_REQUEST: 400, UNAUTHORIZED: 401, NOT_FOUND: 404, UNSUPPORTED_MEDIA_TYPE: 415, INTERNAL_SERVER_ERROR: 500 } as const;

export type FailureCode = keyof typeof statusOf;

/** A failure in Dokploy's own form. */
export class ApiFailure extends Error {
  readonly code: FailureCode;
  constructor(code: FailureCode, message: string) {
    super(message);
    this.code = code;
  }
  get status(): (typeof statusOf)[FailureCode] {
    return statusOf[this.code];
  }
}

type Handle<S extends z.ZodType> = (input: z.output<S>, call: Call) => unknown;

const declare =
  (kind: Procedure['kind']) =>
  <S extends z.ZodType>(input: S, handle: Handle<S>, since?: string): Procedure => ({
    kind,
    run: (raw, call) => handle(input.parse(raw), call),
    ...(since === undefined ? {} : { since }),
  });

/** GET; the input comes from the query string. */
export const query = declare('query');
/** POST; the input is the JSON body. */
export const mutation = declare('mutation');

/** Primitives are coerced as the real adapter does it: a missing required boolean is false, the text "false" is true. */
export const bool = z.preprocess(Boolean, z.boolean());
export const optionalBool = z.coerce.boolean().optional();
export const number = z.coerce.number();
export const text = z.string();
export const nothing = z.object({});

/** The row, or Dokploy's 404. */
export function orNotFound<T>(row: T | undefined, what: string): T {
  if (row === undefined) throw new ApiFailure('NOT_FOUND', `${what} not found`);
  return row;
}

type FailureBody = { status: number; body: Record<string, unknown> };

/** The error body of v0.30; older versions have message, code and issues at the top and nothing else. */
export function failureBody(
  code: FailureCode,
  message: string,
  path: string | undefined,
  zod: z.ZodError | undefined,
  old: boolean,
): FailureBody {
  const status = statusOf[code];
  const issues = zod === undefined ? {} : { issues: zod.issues };
  if (old) return { status, body: { message, code, ...issues } };
  const zodError = zod === undefined ? null : z.flattenError(zod);
  const data = { code, httpStatus: status, ...(path === undefined ? {} : { path }), zodError };
  return { status, body: { message, code, data, ...issues } };
}
