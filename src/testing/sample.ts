/**
 * Values that a schema accepts, made from its JSON Schema alone. Invariants:
 * 1. The first sample is the plainest one; every further sample differs from it in one place, so that each guard branch has its value.
 * 2. Every sample has passed the schema itself; what it refuses, or what has no sample, is told and never guessed.
 * 3. The same schema always gives the same samples.
 */
import type { SchemaLike } from '../engine/hands-port.ts';
import { toJsonSchema } from '../json-schema.ts';

export type Samples = {
  values: unknown[];
  /** Further variants that the limit cut off. */
  skipped: number;
  /** Why a variant could not be made, one sentence each. */
  refused: string[];
};

/** The part of JSON Schema that the house's schemas use. */
type Json = {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Json[];
  oneOf?: Json[];
  properties?: Record<string, Json>;
  required?: string[];
  additionalProperties?: Json | boolean;
  items?: Json;
  minItems?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
};

/** Samples of a schema, at most `limit`; `hint` replaces what a schema cannot say (an object's fields one by one). */
export function samplesOf(schema: SchemaLike, { limit, hint }: { limit: number; hint?: unknown }): Samples {
  const refused: string[] = [];
  const values: unknown[] = [];
  const seen = new Set<string>();
  let skipped = 0;
  for (const value of hinted(toJsonSchema(schema) as Json, hint, refused)) {
    const text = JSON.stringify(value);
    if (seen.has(text)) continue;
    seen.add(text);
    const checked = schema.safeParse(value);
    if (!checked.success) refused.push(`${text.slice(0, 120)} was refused: ${checked.error.issues[0]?.message ?? 'no reason given'}`);
    else if (JSON.stringify(again(schema, checked.data)) !== JSON.stringify(checked.data))
      refused.push(`${text.slice(0, 120)} changes each time it is parsed`);
    else if (values.length === limit) skipped++;
    else values.push(checked.data);
  }
  return { values, skipped, refused };
}

function again(schema: SchemaLike, value: unknown): unknown {
  const checked = schema.safeParse(value);
  return checked.success ? checked.data : undefined;
}

/** A hint for an object stands for the values of its fields; any other is the value itself. */
function hinted(schema: Json, hint: unknown, refused: string[]): unknown[] {
  if (hint === undefined) return variantsOf(schema, 'value', refused);
  if (!isRecord(hint)) return [hint];
  if (schema.type !== 'object')
    return variantsOf(schema, 'value', refused).map((value) => (isRecord(value) ? { ...value, ...hint } : hint));
  const fields = Object.fromEntries(Object.entries(hint).map(([name, value]) => [name, { const: value }]));
  return variantsOf({ ...schema, properties: { ...schema.properties, ...fields } }, 'value', refused);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The plainest value first, then one change at a time. An empty list: nothing can be made, and `refused` says why. */
function variantsOf(schema: Json, name: string, refused: string[]): unknown[] {
  if ('const' in schema) return [schema.const];
  if (schema.enum) return schema.enum;
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches) return branches.flatMap((branch) => variantsOf(branch, name, refused));
  if (Array.isArray(schema.type)) return schema.type.flatMap((type) => variantsOf({ ...schema, type }, name, refused));
  switch (schema.type) {
    case 'object':
      return objects(schema, refused);
    case 'array':
      return arrays(schema, name, refused);
    case 'string':
      return strings(schema, name, refused);
    case 'integer':
    case 'number':
      return numbers(schema);
    case 'boolean':
      return [false, true];
    case 'null':
      return [null];
    case undefined:
      return [`sample-${plain(name)}`]; // anything goes
    default:
      refused.push(`${name} has the type ${String(schema.type)}, of which no sample is known`);
      return [];
  }
}

function objects({ properties = {}, required = [], additionalProperties }: Json, refused: string[]): unknown[] {
  const variants = Object.entries(properties).map(([name, schema]) => ({ name, values: variantsOf(schema, name, refused) }));
  const missing = variants.find(({ name, values }) => values.length === 0 && required.includes(name));
  if (missing) return [];
  const possible = variants.filter(({ values }) => values.length > 0);
  const first = ({ name, values }: (typeof possible)[number]) => [name, values[0]] as const;
  const base = Object.fromEntries(possible.filter(({ name }) => required.includes(name)).map(first));
  const full = Object.fromEntries(possible.map(first));
  /** Fields as the schema lists them, so that equal samples read equal. */
  const inOrder = (value: Record<string, unknown>) =>
    Object.fromEntries(Object.keys(properties).flatMap((name) => (name in value ? [[name, value[name]]] : [])));
  const changed = possible.flatMap(({ name, values }) =>
    (required.includes(name) ? values.slice(1) : values).map((value) => inOrder({ ...base, [name]: value })),
  );
  const entries =
    isRecord(additionalProperties) && Object.keys(properties).length === 0 ? variantsOf(additionalProperties, 'entry', refused) : [];
  return [base, ...changed, ...(possible.length > required.length ? [full] : []), ...entries.map((value) => ({ sample: value }))];
}

function arrays({ items = {}, minItems = 0 }: Json, name: string, refused: string[]): unknown[] {
  const each = variantsOf(items, name, refused);
  const [first] = each;
  if (each.length === 0) return minItems === 0 ? [[]] : [];
  const least = Array.from({ length: minItems }, () => first);
  return [least, ...each.map((value) => [...least.slice(0, Math.max(0, minItems - 1)), value])];
}

const farthest = 2 ** 53 - 1; // zod writes these bounds for "any integer"

function numbers({ minimum, maximum, exclusiveMinimum, exclusiveMaximum, type }: Json): unknown[] {
  const step = type === 'integer' ? 1 : 0.5;
  const low = minimum ?? (exclusiveMinimum === undefined ? -farthest : exclusiveMinimum + step);
  const high = maximum ?? (exclusiveMaximum === undefined ? farthest : exclusiveMaximum - step);
  const bounds = [low, high].filter((bound) => Math.abs(bound) < farthest);
  return [Math.min(Math.max(1, low), high), ...(low <= 0 && high >= 0 ? [0] : []), ...bounds];
}

/** Tried in order against pattern and length; a name of its own per field shows a mix-up of two fields. */
function strings(
  { pattern, minLength = 0, maxLength = Number.POSITIVE_INFINITY, format }: Json,
  name: string,
  refused: string[],
): unknown[] {
  const own = `sample-${plain(name)}`;
  const tries = [
    own,
    'sample',
    'a',
    `${own}.example.com`,
    `secret:${own}`,
    `artifact:${own}`,
    `https://${own}.example.com`,
    `${own}@example.com`,
    `postgres://${own}@db.example.com:5432/postgres`,
    '2026-01-01T00:00:00.000Z',
    '2026-01-01',
    '00000000-0000-4000-8000-000000000000',
    '203.0.113.7',
    '1.2.3',
    '1',
    '0'.repeat(64),
    'A',
    'SAMPLE_NAME',
    'sample_name',
    '/sample',
    '{}',
  ].map((text) => text.padEnd(minLength, 'x'));
  const shape = pattern === undefined ? /^/ : new RegExp(pattern);
  const fits = tries.find((text) => shape.test(text) && text.length <= maxLength && ofFormat(text, format));
  if (fits !== undefined) return [fits];
  refused.push(`${name}: no known text fits the pattern ${pattern ?? format}; give a sample for it`);
  return [];
}

const formats: Record<string, RegExp> = {
  'date-time': /^\d{4}-\d\d-\d\dT/,
  date: /^\d{4}-\d\d-\d\d$/,
  email: /^\S+@\S+\.\S+$/,
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4/,
  uri: /^https:/,
  ipv4: /^\d+\.\d+\.\d+\.\d+$/,
};

function ofFormat(text: string, format: string | undefined): boolean {
  return format === undefined || (formats[format]?.test(text) ?? true);
}

function plain(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 20);
}
