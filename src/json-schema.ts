import { z } from 'zod';
import type { SchemaLike } from './engine/hands-port.ts';

/** A schema never changes, and one run asks for the same few again and again. */
const known = new WeakMap<SchemaLike, unknown>();

/** The JSON Schema of what may be sent (defaults not filled in). Throws where a schema has none, such as a date. Not to be changed by the caller. */
export function toJsonSchema(schema: SchemaLike): unknown {
  const made = known.get(schema);
  if (made !== undefined) return made;
  const { $schema: _, ...rest } = z.toJSONSchema(schema as z.ZodType, { io: 'input' }); // every schema of the house is zod's
  known.set(schema, rest);
  return rest;
}
