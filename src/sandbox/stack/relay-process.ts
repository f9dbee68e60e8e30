/**
 * A service whose command is a node program runs here as a process of its own: so a relay beside a target is the real one. As in its container it
 * has its environment and nothing else; `db` leads to the database of the stack whose network it has joined, and nowhere without one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import type { StackService } from '../state.ts';

export type RelayProcess = { port: number; close(): Promise<void> };

const file = z.object({
  networks: z.record(z.string(), z.object({ name: z.string().optional(), external: z.boolean().optional() }).nullish()).nullish(),
});

/** Networks of others that a compose text joins. */
export function joinedNetworks(composeText: string): string[] {
  return Object.entries(file.parse(parse(composeText)).networks ?? {})
    .filter(([, network]) => network?.external === true)
    .map(([key, network]) => network?.name ?? key);
}

/** Undefined when no service of the stack is such a program. */
export async function startRelay(
  services: readonly StackService[],
  database: { host: string; port: number } | undefined,
): Promise<RelayProcess | undefined> {
  const service = services.find(({ command }) => command[0] === 'node' && command[1] === '-e');
  if (service === undefined) return undefined;
  const to = database === undefined ? '127.0.0.1:1' : `${database.host}:${database.port}`;
  const env = { ...service.env, TO: to, PORT: '0' };
  const child = spawn(process.execPath, service.command.slice(1), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await portOf(child).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return {
    port,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** A deployment that waits for ever would hold the queue for ever. */
const patienceMs = 60_000;

async function portOf(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new TypeError('its output is a pipe');
  const lines = createInterface({ input: child.stdout });
  const over = new AbortController();
  const line = await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(([code, signal]) => [`it ended with ${signal ?? code}`]),
    wait(patienceMs, ['it said nothing'], { signal: over.signal }),
  ]).finally(() => over.abort());
  const port = Number(/^bridge (\d+)$/.exec(String(line[0]))?.[1]);
  if (Number.isInteger(port) && port > 0) return port;
  throw new Error(`the program of the service did not start: ${line[0]}`);
}
