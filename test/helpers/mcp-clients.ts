/** Real MCP clients of both eras over stdio and HTTP: the 2.x client at 2026-07-28, and the 1.x client, which shakes hands. */
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttpTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernTransport } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { packageFile } from '../../src/package-root.ts';

export type Era = 'modern' | 'legacy';
export const eras: readonly Era[] = ['modern', 'legacy'];

/** The compiled bin of this test run (test/helpers/build.ts). */
export const mainFile = packageFile('dist-test', 'src', 'main.js');

export type PersonAnswers = 'accept' | 'decline' | 'cancel' | 'break';

export type ConnectOptions = {
  /** What node runs; default: the server itself. */
  program?: string[];
  home?: string;
  /** A server that runs already, over HTTP, instead of one of our own. */
  at?: { url: string; token?: string };
  env?: Record<string, string>;
  /** What the person says to a form; left out, the client cannot ask. */
  person?: (message: string) => PersonAnswers;
  /** Opens an address for the person (URL elicitation); left out, the client cannot. */
  opens?: (url: string, message: string) => Promise<'accept' | 'decline' | 'cancel'>;
};

export type CallOptions = { signal?: AbortSignal; onProgress?: (message: string) => void };

export type TestClient = {
  pid: number;
  protocol: string | undefined;
  stderr: () => string;
  tools(): Promise<{ name: string }[]>;
  instructions(): string | undefined;
  /** The whole result; throws only on protocol errors. */
  raw(tool: string, args: Record<string, unknown>, options?: CallOptions): Promise<ToolAnswer>;
  /** structuredContent of an answer; throws what an error said. */
  call(tool: string, args: Record<string, unknown>, options?: CallOptions): Promise<View>;
  /** The error of a refused call. */
  refused(tool: string, args: Record<string, unknown>): Promise<z.infer<typeof errorShape>>;
  close(): Promise<void>;
};

const answerShape = z.looseObject({
  isError: z.boolean().optional(),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  content: z.array(z.looseObject({ type: z.string(), text: z.string() })),
});
export type ToolAnswer = z.infer<typeof answerShape>;

const errorShape = z.object({
  code: z.string(),
  message: z.string(),
  fix: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

const viewShape = z.looseObject({
  runId: z.string(),
  state: z.string(),
  status: z.string(),
  version: z.number(),
  replayed: z.boolean().optional(),
  next: z.looseObject({ who: z.string(), say: z.string() }),
});
export type View = z.infer<typeof viewShape>;

const urlShape = z.looseObject({ mode: z.string().optional(), url: z.string().optional(), message: z.string() });
const formShape = z.looseObject({ message: z.string(), requestedSchema: z.looseObject({ properties: z.record(z.string(), z.unknown()) }) });

/** Starts the server under a client of the given era. */
export async function connect(era: Era, options: ConnectOptions): Promise<TestClient> {
  const wire = era === 'modern' ? await connectModern(options) : await connectLegacy(options);
  const raw: TestClient['raw'] = async (tool, args, call) => answerShape.parse(await wire.callTool(tool, args, call));
  return {
    pid: wire.pid() ?? 0,
    protocol: wire.protocol(),
    stderr: wire.stderr,
    tools: wire.listTools,
    instructions: wire.instructions,
    raw,
    async call(tool, args, call) {
      const answer = await raw(tool, args, call);
      if (answer.isError) throw new Error(`${tool} answered ${answer.content[0]?.text}`);
      return viewShape.parse(answer.structuredContent);
    },
    async refused(tool, args) {
      const answer = await raw(tool, args);
      if (answer.isError !== true || answer.structuredContent !== undefined) throw new Error(`${tool} was not refused`);
      return errorShape.parse(JSON.parse(answer.content[0]?.text ?? ''));
    },
    close: wire.close,
  };
}

type Wire = {
  pid(): number | null;
  protocol(): string | undefined;
  stderr(): string;
  instructions(): string | undefined;
  listTools(): Promise<{ name: string }[]>;
  callTool(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<unknown>;
  close(): Promise<void>;
};

function processOf({ program, home = '', env }: ConnectOptions) {
  return {
    command: process.execPath,
    args: program ?? [mainFile],
    env: { CAPSTAN_HOME: home, PATH: process.env['PATH'] ?? '', ...env },
    stderr: 'pipe' as const,
  };
}

function headersOf(token: string | undefined): { requestInit?: { headers: Record<string, string> } } {
  return token === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${token}` } } };
}

const capabilitiesOf = ({ person, opens }: ConnectOptions) =>
  person || opens ? { elicitation: { ...(person ? { form: {} } : {}), ...(opens ? { url: {} } : {}) } } : {};

/** The answer of whoever sits at the client to a form or to an address. */
async function elicited({ person, opens }: ConnectOptions, params: unknown) {
  const { mode, url, message } = urlShape.parse(params);
  if (mode === 'url' && url !== undefined && opens) return { action: await opens(url, message) };
  if (person) return answerForm(person, params);
  throw new Error('the server asked what the client did not declare');
}

function answerForm(person: (message: string) => PersonAnswers, params: unknown) {
  const { message, requestedSchema } = formShape.parse(params);
  if (Object.keys(requestedSchema.properties).length > 0) throw new Error('an approval is a form without fields');
  const says = person(message);
  if (says === 'break') throw new Error('the client cannot show forms today');
  return says === 'accept' ? { action: says, content: {} } : { action: says };
}

async function connectModern(options: ConnectOptions): Promise<Wire> {
  const { at } = options;
  const transport = at ? new ModernHttpTransport(new URL(at.url), headersOf(at.token)) : new ModernTransport(processOf(options));
  const heard = collect('stderr' in transport ? transport.stderr : undefined);
  const client = new ModernClient(
    { name: 'test', version: '1' },
    { capabilities: capabilitiesOf(options), versionNegotiation: { mode: 'auto' } },
  );
  if (options.person || options.opens) client.setRequestHandler('elicitation/create', async (request) => elicited(options, request.params));
  await client.connect(transport);
  return {
    pid: () => ('pid' in transport ? transport.pid : null),
    protocol: () => client.getNegotiatedProtocolVersion(),
    stderr: heard,
    instructions: () => client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    callTool: (name, args, { signal, onProgress } = {}) =>
      client.callTool(
        { name, arguments: args },
        {
          timeout: 60_000,
          ...(signal ? { signal } : {}),
          ...(onProgress ? { onprogress: ({ message }) => onProgress(message ?? '') } : {}),
        },
      ),
    close: () => client.close(),
  };
}

async function connectLegacy(options: ConnectOptions): Promise<Wire> {
  const { at } = options;
  const transport = at ? new LegacyHttpTransport(new URL(at.url), headersOf(at.token)) : new LegacyTransport(processOf(options));
  const heard = collect('stderr' in transport ? transport.stderr : undefined);
  const client = new LegacyClient({ name: 'test', version: '1' }, { capabilities: capabilitiesOf(options) });
  if (options.person || options.opens) client.setRequestHandler(ElicitRequestSchema, async (request) => elicited(options, request.params));
  await client.connect(transport);
  return {
    pid: () => ('pid' in transport ? transport.pid : null),
    protocol: () => 'legacy',
    stderr: heard,
    instructions: () => client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    callTool: (name, args, { signal, onProgress } = {}) =>
      client.callTool({ name, arguments: args }, undefined, {
        timeout: 60_000,
        ...(signal ? { signal } : {}),
        ...(onProgress ? { onprogress: ({ message }) => onProgress(message ?? '') } : {}),
      }),
    close: () => client.close(),
  };
}

/** Both clients give the child's stderr as a stream before it starts. */
function collect(stream: unknown): () => string {
  let text = '';
  if (stream && typeof stream === 'object' && 'on' in stream && typeof stream.on === 'function') {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  return () => text;
}
