import { parse } from 'yaml';
import { z } from 'zod';
import type { StackService } from '../state.ts';
import { interpolate, type Variables } from './env-text.ts';

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const serviceSchema = z.object({
  image: z.string().default(''),
  environment: z.union([z.record(z.string(), scalar), z.array(z.string()), z.null()]).optional(),
  command: z.union([z.string(), z.array(scalar), z.null()]).optional(),
  healthcheck: z.unknown().optional(),
});
const fileSchema = z.object({ services: z.record(z.string(), serviceSchema).default({}) });

/** The names of a compose text's services; throws on text that is no compose file. */
export function serviceNames(text: string): string[] {
  return Object.keys(fileSchema.parse(parse(text)).services);
}

function toEnv(environment: z.infer<typeof serviceSchema>['environment'], variables: Variables): Variables {
  const pairs = Array.isArray(environment)
    ? environment.map((line) => [line.split('=')[0] ?? '', line.includes('=') ? line.slice(line.indexOf('=') + 1) : ''] as const)
    : Object.entries(environment ?? {});
  return Object.fromEntries(pairs.map(([name, value]) => [name, interpolate(String(value ?? ''), variables)]));
}

function toCommand(command: z.infer<typeof serviceSchema>['command'], variables: Variables): string[] {
  const words = typeof command === 'string' ? command.split(/\s+/) : (command ?? []);
  return words.map((word) => interpolate(String(word ?? ''), variables));
}

/** The services of a compose text with the variables filled in; throws with docker's kind of sentence. */
export function readServices(text: string, variables: Variables): StackService[] {
  return Object.entries(fileSchema.parse(parse(text)).services).map(([name, service]) => ({
    name,
    image: interpolate(service.image, variables),
    env: toEnv(service.environment, variables),
    command: toCommand(service.command, variables),
    healthcheck: service.healthcheck !== undefined,
  }));
}

/** Settings of a db command that the sandbox's Postgres takes over; paths and libraries of the image mean nothing here. */
const honoured = new Set(['max_connections', 'max_wal_senders', 'max_replication_slots', 'work_mem', 'statement_timeout']);

/** The `-c name=value` pairs of a db service's command that are honoured. */
export function databaseSettings(command: string[]): Record<string, string> {
  const pairs = command.flatMap((word, index) => (command[index - 1] === '-c' ? [word.split('=')] : []));
  return Object.fromEntries(pairs.flatMap(([name = '', value = '']) => (honoured.has(name) ? [[name, value]] : [])));
}
