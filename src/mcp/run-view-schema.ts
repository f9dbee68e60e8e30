/** The whole RunView, which a tool's output schema only outlines (design §5): a resource, and what answers are tested against. */
import { z } from 'zod';
import { runStatuses } from '../engine/run-status.ts';

const text = z.string();
const call = z.strictObject({ tool: text, arguments: z.record(text, z.unknown()) });

export const nextSchema = z.strictObject({
  who: z.enum(['you', 'human', 'nobody']).describe('Who acts now: the model, a person, or Capstan by itself'),
  say: text.min(1).describe('What to do or to tell, in one or two sentences'),
  call: call.optional().describe('The tool call to make now, or once the person has acted'),
  page: z.url().optional().describe('Address on this machine where the person answers'),
});

export const runViewSchema = z.strictObject({
  runId: text,
  name: text.describe('What a person types to approve'),
  workflow: text,
  traceId: text.describe('The same for a run, its children and every log line of them'),
  state: text,
  title: text.describe('What is happening or asked, for people'),
  step: z.int().optional(),
  steps: z.int().optional(),
  status: z.enum(runStatuses),
  version: z.int().describe('Sequence of the last event; goes into expectedVersion'),
  waitingFor: z
    .array(
      z.strictObject({
        event: text,
        title: text,
        payload: z.unknown().describe('JSON Schema of the payload'),
        confirm: text.optional().describe('A person approves this; what it will do'),
      }),
    )
    .describe('The events that advance_run takes now'),
  working: z
    .array(
      z.strictObject({
        effect: text,
        title: text,
        since: text,
        attempt: z.int(),
        progress: z.strictObject({ say: text, percent: z.number().optional() }).optional(),
      }),
    )
    .describe('Calls to the outside that are open'),
  blockedBy: z
    .array(z.strictObject({ lock: text, runId: text, name: text }))
    .optional()
    .describe('Runs that hold what this one waits for'),
  details: z.record(text, z.unknown()).describe('What the workflow shows of itself, such as the plan'),
  output: z.unknown().optional(),
  error: z.strictObject({ code: text, message: text, fix: text.optional(), details: z.record(text, z.unknown()).optional() }).optional(),
  warnings: z.array(z.strictObject({ code: text, say: text })),
  checkpoints: z.array(z.strictObject({ to: z.int(), name: text, at: text })).describe('What rollback_run can go back to'),
  pollAfterMs: z.int().optional(),
  resource: text,
  next: nextSchema,
  replayed: z.literal(true).optional().describe('The same request key had done it before'),
});

export function runViewJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(runViewSchema, { io: 'output' });
}
