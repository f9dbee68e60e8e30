/** Walks a run through its states: scripted events first, then, at a terminal, the person's answers. */
import type { App } from '../app.ts';
import type { Answer, Caller } from '../engine/engine.ts';
import type { RunView, WaitingFor } from '../engine/view.ts';
import { AppError } from '../errors.ts';
import { withApproval } from './approve-here.ts';
import { askPayload } from './ask-payload.ts';
import { followed } from './follow.ts';
import { note } from './output.ts';
import { planText } from './render.ts';
import { coerced, type ScriptedEvent } from './script.ts';
import { askChoice } from './terminal.ts';

export type Walk = { app: App; caller: Caller; terminal: boolean; signal: AbortSignal };

const later = ':later';

/** The run where it ended, or where nobody here can move it on. Throws what a scripted event is refused with. */
export async function walk(walking: Walk, start: RunView, scripted: readonly ScriptedEvent[]): Promise<RunView> {
  const { app, signal, terminal } = walking;
  const events = [...scripted];
  let view = start;
  for (;;) {
    view = await followed(app.engine, view, true, signal);
    if (view.status === 'held') return settledHere(walking, view);
    if (view.status !== 'waiting') return view;
    const event = events.shift();
    if (event) view = await send(walking, view, event.event, coerced(event.payload, schemaOf(view, event.event)));
    else if (terminal) {
      const answer = await askHere(walking, view);
      if (answer === undefined) return view;
      view = answer;
    } else return view;
  }
}

/** A run that was paused begins nothing new; what this process has in hand is finished before it leaves, not given back half done. */
async function settledHere({ app, signal }: Walk, view: RunView): Promise<RunView> {
  note('  Paused; what is in hand is finished first.');
  await app.worker.idle(0, signal);
  return app.engine.inspect(view.runId);
}

/** One event by the person, or undefined when they leave it for later. A refused answer is told and asked again. */
async function askHere(walking: Walk, view: RunView): Promise<RunView | undefined> {
  note(`\n${view.step === undefined ? '' : `Step ${view.step} of ${view.steps ?? '?'}. `}${view.title || view.state}`);
  if (view.error) note(`  ${view.error.code}: ${view.error.message}${view.error.fix ? `\n  ${view.error.fix}` : ''}`);
  const event = await chooseEvent(view);
  if (event === undefined) return undefined;
  try {
    const payload = await askPayload(event.payload, (field, value) => keepSecret(walking, view, field, value));
    if (event.confirm !== undefined && planText(view.details) === '') note(`  ${event.confirm}`);
    return await send(walking, view, event.event, payload);
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'INTERRUPTED') throw error;
    note(`${error.code}: ${error.message}${error.fix === undefined ? '' : `\n${error.fix}`}`);
    return walking.app.engine.inspect(view.runId);
  }
}

async function chooseEvent({ waitingFor }: RunView): Promise<WaitingFor | undefined> {
  const options = waitingFor.map(({ event, title }) => ({ value: event, label: title }));
  const chosen = await askChoice('What next?', [...options, { value: later, label: 'Leave it for later' }]);
  return waitingFor.find(({ event }) => event === chosen);
}

function send({ app, caller, terminal }: Walk, view: RunView, event: string, payload: Record<string, unknown>): Promise<Answer> {
  const request = { run: view.runId, event, payload, expectedVersion: view.version };
  return withApproval(app, terminal, () => app.engine.advance(request, caller));
}

async function keepSecret({ app }: Walk, view: RunView, field: string, value: string): Promise<string> {
  const staged = app.vault.stageSecret(`run:${view.runId}`, field, value);
  await app.registry.keepSecrets([staged]);
  return `secret:${staged.id}`;
}

function schemaOf(view: RunView, event: string): unknown {
  return view.waitingFor.find((each) => each.event === event)?.payload;
}
