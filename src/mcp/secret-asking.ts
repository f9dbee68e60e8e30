/**
 * `ask:person` in a secret field (design §6): a person types the value on the local page, the agent gets a reference. Invariants:
 * 1. The value never passes the client: not as an argument, not through a form.
 * 2. A client with URL elicitation opens the page itself and the call goes on; any other gets the address and the call to send then.
 */
import type { Engine } from '../engine/engine.ts';
import type { RunView } from '../engine/view.ts';
import { AppError } from '../errors.ts';
import type { PersonSays } from './approval.ts';
import type { PageOutcome, PagePort } from './page.ts';
import type { Question, Structured } from './tool.ts';

export const askPerson = 'ask:person';

export type AdvanceArguments = { run: string; event: string; payload?: Record<string, unknown> | undefined };

/** What travels through the client, signed: the same call comes back with it. */
export type SecretState = { secrets: string; references: Record<string, string> };

/** What the wire can do for us. */
export type SecretWire = {
  engine: Pick<Engine, 'inspect'>;
  pages: (() => Promise<PagePort>) | undefined;
  /** True when the client opens addresses for the person. */
  canOpen: boolean;
  /** Set when this call comes back after the client was asked to open the page. */
  returned: { state: SecretState; says: PersonSays } | undefined;
  /** The older eras: asks while the call is held open. Undefined where the call must come back instead. */
  openNow: ((message: string, url: string) => Promise<PersonSays>) | undefined;
  comeBack(message: string, url: string, state: SecretState): Promise<Question>;
  /** Waits for the person a while; undefined when it took too long. */
  patiently(outcome: Promise<PageOutcome>): Promise<PageOutcome | undefined>;
};

export type HandedOver = { payload: Record<string, unknown> | undefined } | { instead: Structured | Question };

/** The payload with references in place of `ask:person`, or what to answer instead. Throws SECRET_FIELD_UNKNOWN, PAGE_NOT_HERE. */
export async function handOver(wire: SecretWire, { run, event, payload }: AdvanceArguments): Promise<HandedOver> {
  const fields = Object.entries(payload ?? {}).flatMap(([field, value]) => (value === askPerson ? [field] : []));
  if (fields.length === 0) return { payload };
  const view = await wire.engine.inspect(run);
  const filled = (references: Record<string, string>) => ({ payload: { ...payload, ...references } });
  if (wire.returned) {
    const { state, says } = wire.returned;
    if (says !== 'accept') return { instead: declined(view) };
    const ended = await howItEnds(wire, state.secrets);
    return ended === 'done' ? filled(state.references) : { instead: declined(view) };
  }
  const asked = await ask(wire, view, event, fields);
  const message = `The run ${view.name} needs a secret (${fields.join(', ')}). It is typed on a page of Capstan on this machine and never passes this client.`;
  const later = () => ({ instead: elsewhere(view, asked.url, { event, payload: { ...payload, ...asked.references } }) });
  if (!wire.canOpen) return later();
  if (!wire.openNow) return { instead: await wire.comeBack(message, asked.url, { secrets: asked.id, references: asked.references }) };
  if ((await wire.openNow(message, asked.url)) !== 'accept') return later();
  const ended = await howItEnds(wire, asked.id);
  if (ended === 'done') return filled(asked.references);
  return ended === 'declined' ? { instead: declined(view) } : later();
}

async function ask({ pages }: SecretWire, view: RunView, event: string, fields: readonly string[]): ReturnType<PagePort['forSecrets']> {
  const waiting = view.waitingFor.find((each) => each.event === event);
  const wrong = fields.find((field) => !isSecretField(waiting?.payload, field));
  if (wrong !== undefined)
    throw new AppError('SECRET_FIELD_UNKNOWN', {
      message: `The field ${wrong} of ${event} is no secret that the run ${view.name} waits for, so no person was asked.`,
      fix: `Send ${askPerson} only in fields whose schema takes a secret reference.`,
    });
  if (pages) return (await pages()).forSecrets({ runId: view.runId, runName: view.name, title: waiting?.title ?? event, fields });
  throw new AppError('PAGE_NOT_HERE', {
    message: 'This server opens no page on which a person could type a secret.',
    fix: 'Ask the person to put the value into an environment variable or a file of the machine that runs Capstan, and send env:NAME or file:PATH.',
  });
}

async function howItEnds({ pages, patiently }: SecretWire, id: string): Promise<PageOutcome | undefined> {
  const outcome = (await pages?.())?.outcome(id);
  return outcome && patiently(outcome);
}

/** Secret references are the only texts whose pattern begins so (machines/effects/meta.ts). */
function isSecretField(schema: unknown, field: string): boolean {
  const properties = (schema as { properties?: Record<string, { pattern?: unknown }> } | undefined)?.properties; // JSON Schema of an object
  const pattern = properties?.[field]?.pattern;
  return typeof pattern === 'string' && pattern.startsWith('^(secret|');
}

function elsewhere(view: RunView, url: string, { event, payload }: { event: string; payload: Record<string, unknown> }): Structured {
  const say = `Ask the person to open ${url} in a browser on this machine and to type the secret there; when they have, send the call below. Never ask for the value itself.`;
  return {
    ...view,
    next: {
      who: 'human',
      say,
      page: url,
      call: { tool: 'advance_run', arguments: { run: view.runId, event, payload, expectedVersion: view.version } },
    },
  };
}

function declined(view: RunView): Structured {
  return {
    ...view,
    next: {
      who: 'human',
      say: `The person did not hand the secret over; nothing was changed and the run waits in "${view.state}". Ask what to do instead.`,
    },
  };
}
