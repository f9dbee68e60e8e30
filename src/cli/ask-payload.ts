/** Asks a person for the fields of a payload, by its JSON Schema; secrets by a hidden prompt, handed to the vault at once. */
import { z } from 'zod';
import { coerced } from './script.ts';
import { askChoice, askSecret, askText, askYes } from './terminal.ts';

const fieldSchema = z.looseObject({
  type: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  pattern: z.string().optional(),
  description: z.string().optional(),
});
type Field = z.infer<typeof fieldSchema>;
const payloadSchema = z.looseObject({
  properties: z.record(z.string(), fieldSchema).default({}),
  required: z.array(z.string()).default([]),
});

/** Stores a value and answers its reference. */
export type KeepSecret = (field: string, value: string) => Promise<string>;

/** A field that takes a reference only is known by the pattern of `secretReference` in machines/effects/meta.ts. */
const secretPattern = '^(secret|env|file):.+$';
const leftOut = '(leave it out)';

/** Every field in turn; one that may be left out is left out when nothing is given. Throws INTERRUPTED. */
export async function askPayload(schema: unknown, keepSecret: KeepSecret): Promise<Record<string, unknown>> {
  const { properties, required } = payloadSchema.catch({ properties: {}, required: [] }).parse(schema);
  const answers: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(properties)) {
    const answer = await askField(name, field, required.includes(name), keepSecret);
    if (answer !== undefined) answers[name] = answer;
  }
  return coerced(answers, schema);
}

async function askField(name: string, field: Field, required: boolean, keepSecret: KeepSecret): Promise<unknown> {
  const question = `${name}${required ? '' : ' (may be left out)'}${field.description ? `: ${field.description}` : ''}`;
  if (field.pattern === secretPattern) return keepSecret(name, await askSecret(`${name}: typed hidden, stored encrypted`));
  if (field.type === 'boolean') return required || (await askYes(question)) ? true : undefined;
  if (field.enum) {
    const values = required ? field.enum : [...field.enum, leftOut];
    const chosen = await askChoice(
      question,
      values.map((value) => ({ value, label: value })),
    );
    return chosen === leftOut ? undefined : chosen;
  }
  const text = await askText(question, required ? { validate: (value) => (value ? undefined : 'This field is needed.') } : {});
  return text === '' ? undefined : text;
}
