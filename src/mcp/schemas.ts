/** The schemas that `tools/list` shows. Pure. */
import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server';
import { z } from 'zod';

/**
 * As strict clients take it without a warning: a record of anything says `true`, which costs fewer tokens too, and no `type` is a list,
 * which some models' schema dialects do not have.
 */
export function inputSchemaOf(input: z.ZodObject): Record<string, unknown> {
  const known = converted.get(input);
  if (known) return known;
  const schema = convert(input);
  converted.set(input, schema);
  return schema;
}

/** Over HTTP a server is made for each request; a schema is data and is converted once. */
const converted = new WeakMap<z.ZodObject, Record<string, unknown>>();

function convert(input: z.ZodObject): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(input, {
    io: 'input',
    override: ({ jsonSchema }) => {
      const rest = jsonSchema.additionalProperties;
      if (typeof rest !== 'object' || Object.keys(rest).length > 0) return;
      jsonSchema.additionalProperties = true;
      delete jsonSchema.propertyNames;
    },
  });
  return Object.fromEntries(Object.entries(schema).map(([key, each]) => [key, withSingleTypes(each)]));
}

/** zod merges a union of simple types last of all, so this cannot be done while it writes. */
function withSingleTypes(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withSingleTypes);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, each]): [string, unknown] =>
    key === 'type' && Array.isArray(each) ? ['anyOf', each.map((type: unknown) => ({ type }))] : [key, withSingleTypes(each)],
  );
  return Object.fromEntries(entries);
}

/** A schema that is shown to clients and lets everything through: we judge arguments ourselves, with our own codes and sentences. */
export function advertised(schema: Record<string, unknown>): StandardSchemaWithJSON {
  return {
    '~standard': {
      version: 1,
      vendor: 'capstan',
      validate: (value) => ({ value }),
      jsonSchema: { input: () => schema, output: () => schema },
    },
  };
}
