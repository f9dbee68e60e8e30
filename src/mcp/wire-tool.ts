/**
 * Tools that talk with their client: content other than structured JSON, log messages, figures of progress, questions of every kind.
 * They pass the same gate as every tool: rates, strict arguments, no secrets, cleaned texts, errors by code.
 */
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type ContentBlock,
  type InputRequests,
  type InputRequiredResult,
  inputRequired,
  type LoggingLevel,
  type McpServer,
  type RequestMethod,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { z } from 'zod';
import { type Guard, maxResultBytes, sizeOf } from './answer.ts';
import { mapText, printable } from './printable.ts';
import { type Annotations, parseArguments, type ToolDefinition } from './tool.ts';

export type Wire = {
  /** Fires when the client cancels the request. */
  signal: AbortSignal;
  /** What the client says it can do. */
  capabilities: Record<string, unknown>;
  log(level: LoggingLevel, data: unknown): Promise<void>;
  progress(progress: number, total: number): Promise<void>;
  /** 2025 revisions: a request to the client while the call is held open. Rejects on the newer wire. */
  send(method: RequestMethod, params: Record<string, unknown>): Promise<unknown>;
  /** 2026-07-28: what the client answered to the questions of the round before. */
  answers: Record<string, unknown>;
  /** What was sent along with those questions, its seal checked; undefined in the first round. */
  state: unknown;
  /** 2026-07-28: questions to the client, and what is to come back sealed. */
  ask(requests: InputRequests, state?: unknown): Promise<InputRequiredResult>;
};

export type WireTool<I extends z.ZodObject = z.ZodObject> = {
  definition: Omit<ToolDefinition<I>, 'output'>;
  answer(args: unknown, wire: Wire): Promise<ContentBlock[] | InputRequiredResult>;
};

/** Ties behaviour to a definition; arguments are parsed before it runs. */
export function defineWireTool<I extends z.ZodObject>(
  definition: { name: string; description: string; input: I; annotations: Annotations },
  answer: (args: z.infer<I>, wire: Wire) => Promise<ContentBlock[] | InputRequiredResult>,
): WireTool {
  return { definition, answer: async (args, wire) => answer(parseArguments(definition, args), wire) };
}

/** The wire of one call. `mint` seals what must come back. */
export function wireOf(server: McpServer, ctx: ServerContext, mint: (state: unknown) => Promise<string>): Wire {
  const { mcpReq } = ctx;
  const token = mcpReq._meta?.progressToken;
  const envelope: Record<string, unknown> | undefined = mcpReq.envelope;
  return {
    signal: mcpReq.signal,
    capabilities: { ...Object(envelope ? envelope[CLIENT_CAPABILITIES_META_KEY] : server.server.getClientCapabilities()) },
    log: (level, data) => mcpReq.log(level, data),
    async progress(progress, total) {
      if (token === undefined) return;
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken: token, progress, total } });
    },
    send: (method, params) => mcpReq.send({ method, params }, { signal: mcpReq.signal }),
    answers: mcpReq.inputResponses ?? {},
    state: mcpReq.requestState<unknown>(),
    ask: async (inputRequests, state) =>
      state === undefined ? inputRequired({ inputRequests }) : inputRequired({ inputRequests, requestState: await mint(state) }),
  };
}

/** Content as it may leave: cleaned, and within the limit or said to be left out. */
export function toContentResult(content: ContentBlock[], { scrub }: Pick<Guard, 'scrub'>): CallToolResult {
  // A copy of content blocks by mapText is content blocks again.
  const clean = mapText(content, (text) => printable(scrub(text))) as ContentBlock[];
  if (sizeOf(clean) <= maxResultBytes) return { content: clean };
  return { content: [{ type: 'text', text: `The answer has ${sizeOf(clean)} bytes: more than one answer may hold.` }], isError: true };
}
