/** What comes in with an event: is it taken here, has it the right shape, which of its fields are secrets. */
import { AppError } from '../errors.ts';
import type { Catalog, Definition } from './catalog.ts';
import { describe, type EventDescription } from './describe.ts';
import { eventsOf } from './machine-events.ts';
import { restore } from './plan.ts';
import type { RunRow, StagedSecret, Vault } from './ports.ts';

export function accepted(definition: Definition, run: RunRow, type: string, catalog: Catalog): EventDescription {
  const { events } = describe(restore(definition.machine, run.snapshot));
  const found = events.find((event) => event.type === type);
  if (found) return found;
  throw notAccepted(run, type, events, catalog);
}

export function notAccepted(run: RunRow, type: string, events: EventDescription[], catalog: Catalog): AppError {
  const names = events.map((event) => event.type).join(', ') || 'no event now';
  return new AppError('EVENT_NOT_ACCEPTED', {
    message: `The run ${run.name} does not take the event ${quoted(type)} in the state "${run.state}".`,
    fix: `It takes: ${names}.`,
    details: {
      state: run.state,
      version: run.version,
      accepts: events.map((event) => ({
        event: event.type,
        title: event.title,
        payload: catalog.jsonSchema(event.payload),
        ...(event.confirm === undefined ? {} : { confirm: event.confirm }),
      })),
    },
  });
}

export function parse(schema: Definition['input'], value: unknown, what: string, code: string, catalog: Catalog): unknown {
  const text = JSON.stringify(value ?? null);
  if (text.length > 64 * 1024)
    throw new AppError('PAYLOAD_TOO_LARGE', {
      message: `${what} has ${text.length} bytes; the limit is 65536.`,
      fix: 'Send less, or a reference to a file.',
    });
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.map(String).join('.') || 'value'}: ${issue.message}`);
  throw new AppError(code, {
    message: `${what[0]?.toUpperCase()}${what.slice(1)} is not right: ${issues.join('; ').slice(0, 800).replace(/\.$/, '')}.`,
    fix: 'Send it again in the shape that the schema in details shows.',
    details: { issues, schema: catalog.jsonSchema(schema) as Record<string, unknown> },
  });
}

/** Secret fields become `secret:<id>` before anything is validated or stored (S2); the hash sees their HMAC (C6). */
export async function handOver(
  deps: { catalog: Catalog; vault: Vault },
  run: RunRow,
  request: { event: string; payload?: unknown },
): Promise<{ payload: unknown; fingerprinted: unknown; staged: StagedSecret[] }> {
  const payload = request.payload ?? {};
  const definition = deps.catalog.list().find((candidate) => candidate.name === run.workflow && candidate.hash === run.definitionHash);
  // In any state: a request that is sent again finds its run further on (C6).
  const secret = definition ? (eventsOf(definition.machine).find(({ type }) => type === request.event)?.secret ?? []) : [];
  if (secret.length === 0 || typeof payload !== 'object' || payload === null) return { payload, fingerprinted: payload, staged: [] };
  const out: Record<string, unknown> = { ...payload };
  const fingerprinted: Record<string, unknown> = { ...payload };
  const staged: StagedSecret[] = [];
  for (const field of secret) {
    const value = out[field];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !/^(secret|env|file):/.test(value)) {
      throw new AppError('SECRET_IN_ARGUMENT', {
        message: `The field ${field} of ${request.event} takes a secret by reference only.`,
        fix: 'Put the value into an environment variable or a file of the machine that runs Capstan and send env:NAME or file:PATH.',
      });
    }
    const handed = await deps.vault.handOver(value, `run:${run.id}`, field);
    out[field] = handed.reference;
    fingerprinted[field] = handed.fingerprint;
    if (handed.staged) staged.push(handed.staged);
  }
  return { payload: out, fingerprinted, staged };
}

export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
