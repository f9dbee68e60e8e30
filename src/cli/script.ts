/** What a script says instead of a person: `--input FILE.json` and `--set`. Pure but for reading that file. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { usage } from './arguments.ts';

export type ScriptedEvent = { event: string; payload: Record<string, unknown> };
export type Script = { input: Record<string, unknown>; events: ScriptedEvent[] };

const fields = z.record(z.string(), z.unknown());
const scriptFile = z.strictObject({
  input: fields.default({}),
  events: z.array(z.strictObject({ event: z.string().min(1), payload: fields.default({}) })).default([]),
});

/** Throws SCRIPT_INVALID for a file that cannot be read or has another shape. */
export function readScript(path: string): Script {
  const parsed = scriptFile.safeParse(readJson(path));
  if (parsed.success) return parsed.data;
  const what = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ');
  throw new AppError('SCRIPT_INVALID', {
    message: `The file ${path} is not right: ${what}.`,
    fix: 'It holds {"input": {...}, "events": [{"event": "...", "payload": {...}}]}.',
  });
}

/** A JSON object from a file. Throws SCRIPT_INVALID. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new AppError('SCRIPT_INVALID', {
      message: `The file ${path} cannot be read as JSON.`,
      fix: 'Give the path of a JSON file.',
      cause,
    });
  }
}

/** `k=v` sets a field of the input; `event.field=v` a field of an event, which is sent when its turn comes (after those of the file, in order of first mention). */
export function applySettings(command: string, script: Script, settings: readonly string[]): Script {
  const out: Script = { input: { ...script.input }, events: script.events.map((each) => ({ ...each, payload: { ...each.payload } })) };
  const named = new Map<string, ScriptedEvent>();
  for (const setting of settings) {
    const [name, value] = splitSetting(command, setting);
    const dot = name.indexOf('.');
    if (dot < 0) {
      out.input[name] = value;
      continue;
    }
    const [event, field] = [name.slice(0, dot), name.slice(dot + 1)];
    const target = named.get(event) ?? { event, payload: {} };
    if (!named.has(event)) out.events.push(target);
    named.set(event, target);
    if (field !== '') target.payload[field] = value;
  }
  return out;
}

/** Name and raw text of `k=v`. Throws USAGE. */
export function splitSetting(command: string, setting: string): [string, string] {
  const at = setting.indexOf('=');
  if (at > 0) return [setting.slice(0, at), setting.slice(at + 1)];
  throw usage(command, `${JSON.stringify(setting.slice(0, 60))} is not of the form name=value.`);
}

const objectSchema = z.looseObject({ properties: z.record(z.string(), z.looseObject({ type: z.unknown().optional() })).default({}) });

/** Texts from the command line become what the JSON Schema of their field asks for; what does not fit stays text and is refused by the schema itself. */
export function coerced(values: Record<string, unknown>, schema: unknown): Record<string, unknown> {
  const { properties } = objectSchema.catch({ properties: {} }).parse(schema);
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === 'string' ? toType(value, properties[name]?.type) : value]),
  );
}

function toType(text: string, type: unknown): unknown {
  if ((type === 'integer' || type === 'number') && text.trim() !== '' && Number.isFinite(Number(text))) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  if (type === 'array')
    return text.startsWith('[')
      ? tryJson(text)
      : text
          .split(',')
          .map((each) => each.trim())
          .filter((each) => each !== '');
  return type === 'object' ? tryJson(text) : text;
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // the schema refuses it with a sentence of its own
  }
}
