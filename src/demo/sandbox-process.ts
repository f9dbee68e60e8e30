import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { type Journal, journalSchema } from './verdicts.ts';

const readySchema = z.object({
  url: z.string(),
  apiKey: z.string(),
  caFile: z.string(),
  resolve: z.array(z.string()),
  templateBaseUrl: z.string(),
});

export type SandboxProcess = z.infer<typeof readySchema> & {
  pid: number;
  journal(): Promise<Journal>;
  setFaults(faults: string[]): Promise<void>;
  /** As any other client of that Dokploy: used by the sabotage. */
  post(procedure: string, body: unknown): Promise<void>;
  stop(): Promise<void>;
};

/** Starts `capstan sandbox` as its own process and waits until it answers. Throws what the sandbox says when it cannot start. */
export async function startSandboxProcess(main: string, dataDir: string, instances: readonly string[] = []): Promise<SandboxProcess> {
  const placed = instances.flatMap((name) => ['--instance', name]);
  const child = spawn(process.execPath, [main, 'sandbox', '--json', '--data-dir', dataDir, ...placed], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-4_000);
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = await Promise.race([
    firstLine(child.stdout),
    exited.then(() => {
      throw new AppError('SANDBOX_FAILED', {
        message: `The sandbox did not start: ${complaints.trim() || 'it said nothing'}`,
        fix: 'Run capstan sandbox to see more.',
      });
    }),
  ]);
  const ready = readySchema.parse(JSON.parse(line));
  const call = async (path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(`${ready.url}${path}`, {
      headers: { 'x-api-key': ready.apiKey, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new AppError('SANDBOX_FAILED', { message: `The sandbox answered ${answer.status} on ${path}.` });
    const text = await answer.text();
    return text === '' ? undefined : JSON.parse(text);
  };
  return {
    ...ready,
    pid: child.pid ?? 0,
    journal: async () => journalSchema.parse(await call('/__sandbox/journal')),
    setFaults: async (faults) => void (await call('/__sandbox/faults', { faults })),
    post: async (procedure, body) => void (await call(`/api/${procedure}`, body)),
    async stop() {
      child.kill('SIGTERM');
      await Promise.race([exited, wait(10_000).then(() => child.kill('SIGKILL'))]);
    },
  };
}

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stream })) if (line.startsWith('{')) return line;
  return new Promise(() => undefined); // the exit decides
}
