/**
 * The door of the pretended API: key, faults, parsing, one procedure, one journal entry.
 * 1. Every call that names a procedure leaves one entry in the journal, refused ones too.
 * 2. State is on disk before the answer goes out.
 */
import { ZodError } from 'zod';
import { ApiFailure, type FailureCode, failureBody, type Procedure } from '../procedure.ts';
import { compareVersions, type World } from '../world.ts';
import { compose } from './compose.ts';
import { deployments } from './deployments.ts';
import { docker } from './docker.ts';
import { domains } from './domains.ts';
import { mounts } from './mounts.ts';
import { projects } from './projects.ts';
import { schedules } from './schedules.ts';
import { settings } from './settings.ts';
import { templates } from './templates.ts';

export const procedures: Record<string, Procedure> = {
  ...settings,
  ...projects,
  ...compose,
  ...templates,
  ...domains,
  ...mounts,
  ...deployments,
  ...docker,
  ...schedules,
};

type Outcome = {
  status: number;
  body: string;
  headers?: Record<string, string>;
  fault?: string;
  applied?: boolean;
  identity?: Record<string, string>;
};

const json = (status: number, value: unknown): Outcome => ({
  status,
  body: value === undefined ? '' : JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
});

/** The bare 401: no code, whatever the reason. */
const unauthorized = (fault?: string): Outcome => ({
  status: 401,
  body: '{"message":"Unauthorized"}',
  headers: { 'content-type': 'application/json; charset=utf-8' },
  ...(fault === undefined ? {} : { fault }),
});

const proxyRefusal: Outcome = {
  status: 429,
  body: '<html><body><h1>429 Too Many Requests</h1></body></html>',
  headers: { 'content-type': 'text/html', 'retry-after': '1' },
  fault: '429',
};

/** Faults that hit before the procedure is looked at. */
function refuse(world: World, apiKey: string, given: string | undefined, path: string): Outcome | undefined {
  const { faults } = world;
  if (faults.take('429', path)) return proxyRefusal;
  if (given !== apiKey) return unauthorized();
  if (faults.take('expired-key', path)) return unauthorized('expired-key');
  if (faults.take('rate-limited-key', path) && faults.uses('rate-limited-key') > 5) return unauthorized('rate-limited-key');
  return undefined;
}

const isOld = (world: World): boolean => compareVersions(world.version(), '0.30.0') < 0;

function fail(world: World, code: FailureCode, message: string, path?: string, zod?: ZodError): Outcome {
  const { status, body } = failureBody(code, message, path, zod, isOld(world));
  return json(status, body);
}

function toOutcome(world: World, path: string, error: unknown): Outcome {
  if (error instanceof ZodError) return fail(world, 'BAD_REQUEST', 'Input validation failed', path, error);
  if (error instanceof ApiFailure) return fail(world, error.code, error.message, path);
  return fail(world, 'INTERNAL_SERVER_ERROR', error instanceof Error ? error.message : String(error), path);
}

type Parsed = { input: unknown; raw: string } | { refused: Outcome; raw: string };

async function readInput(world: World, request: Request, procedure: Procedure, path: string): Promise<Parsed> {
  if (procedure.kind === 'query') {
    const { search, searchParams } = new URL(request.url);
    // Empty values count as absent.
    return { input: Object.fromEntries([...searchParams].filter(([, value]) => value !== '')), raw: search };
  }
  const raw = await request.text();
  const type = request.headers.get('content-type')?.split(';')[0]?.trim();
  if (type !== 'application/json')
    return { refused: fail(world, 'UNSUPPORTED_MEDIA_TYPE', `Unsupported content-type "${type}`, path), raw };
  try {
    return { input: raw === '' ? {} : JSON.parse(raw), raw };
  } catch {
    return { refused: { status: 400, body: 'Invalid JSON' }, raw };
  }
}

const kindOf = (method: string): Procedure['kind'] | undefined =>
  method === 'GET' || method === 'HEAD' ? 'query' : method === 'POST' ? 'mutation' : undefined;

function findProcedure(world: World, path: string, method: string): Procedure | undefined {
  const procedure = Object.hasOwn(procedures, path) ? procedures[path] : undefined;
  if (procedure === undefined || procedure.kind !== kindOf(method)) return undefined;
  return procedure.since !== undefined && compareVersions(world.version(), procedure.since) < 0 ? undefined : procedure;
}

async function carryOut(world: World, procedure: Procedure, path: string, input: unknown): Promise<Outcome> {
  const { faults } = world;
  const writes = procedure.kind === 'mutation';
  if (writes && faults.take('500-before', path))
    return { ...fail(world, 'INTERNAL_SERVER_ERROR', 'Internal server error', path), fault: '500-before' };
  let applied = false;
  const identity: Record<string, string> = {};
  const call = {
    world,
    applied(touched: Record<string, string>) {
      applied = true;
      Object.assign(identity, touched);
    },
  };
  let outcome: Outcome;
  try {
    outcome = json(200, await procedure.run(input, call));
  } catch (error) {
    outcome = toOutcome(world, path, error);
  }
  if (applied) world.state.save();
  const result = { ...outcome, applied, identity };
  if (!writes || outcome.status !== 200) return result;
  if (faults.take('500-after', path)) {
    return { ...result, ...fail(world, 'INTERNAL_SERVER_ERROR', 'Internal server error', path), fault: '500-after' };
  }
  return faults.take('hang-after', path) ? { ...result, status: 0, fault: 'hang-after' } : result;
}

/** Answers one call; `path` is the part after /api/. Status 0 means: never answer. */
async function answer(world: World, apiKey: string, request: Request, path: string): Promise<Outcome & { raw: string; input: unknown }> {
  const given = request.headers.get('x-api-key') ?? undefined;
  const refused = refuse(world, apiKey, given, path);
  if (refused !== undefined) return { ...refused, raw: await request.text(), input: undefined };
  const procedure = findProcedure(world, path, request.method);
  if (procedure === undefined) return { ...fail(world, 'NOT_FOUND', 'Not found'), raw: await request.text(), input: undefined };
  const parsed = await readInput(world, request, procedure, path);
  if ('refused' in parsed) return { ...parsed.refused, raw: parsed.raw, input: undefined };
  return { ...(await carryOut(world, procedure, path, parsed.input)), raw: parsed.raw, input: parsed.input };
}

/** Handles `/api/<router>.<procedure>`. */
export async function dispatch(world: World, apiKey: string, request: Request, path: string): Promise<Response> {
  const outcome = await answer(world, apiKey, request, path);
  world.journal.add({
    procedure: path,
    method: request.method,
    status: outcome.status,
    applied: outcome.applied ?? false,
    identity: outcome.identity ?? {},
    body: outcome.input,
    rawBody: outcome.raw,
    fault: outcome.fault,
  });
  if (outcome.status === 0) return new Promise<Response>(() => undefined);
  const init = { status: outcome.status, ...(outcome.headers === undefined ? {} : { headers: outcome.headers }) };
  return new Response(request.method === 'HEAD' ? null : outcome.body, init);
}
