import { z } from 'zod';
import type { SchemaLike } from './engine/hands-port.ts';

/** The JSON Schema of what may be sent (defaults not filled in). Throws where a schema has none, such as a date. */
export function toJsonSchema(schema: SchemaLike): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema as z.ZodType, { io: 'input' }); // every schema of the house is zod's
  return rest;
}
