/**
 * The MCP door (design §5): one factory for both eras. Invariants:
 * 1. `tools/list` is static data in a fixed order; nothing behind `app` is opened for it.
 * 2. A tool's behaviour never sees the wire: arguments are parsed and secrets in them refused before it, answers cleaned and limited after it.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  type ElicitRequestParams,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  McpServer,
  ProtocolError,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Answer } from '../engine/engine.ts';
import { type Guard, type KeepText, type ToolResult, toErrorResult, toResult } from './answer.ts';
import type { McpApp } from './app-port.ts';
import { type ApprovalState, askedIn, callOf, messageOf, type PersonSays, requireSame, settle, stateOf } from './approval.ts';
import { type Connection, destructiveDenied, isLocal, localConnection, requireAllowed, requireWithinTargets } from './connection.ts';
import { registerKnowledge } from './knowledge.ts';
import { type PagePort, withPage } from './page.ts';
import { printable } from './printable.ts';
import { registerPrompts } from './prompts.ts';
import type { RateGuard } from './rates.ts';
import { requireFiles, requireReferences } from './references.ts';
import { registerResources } from './resources.ts';
import { registerSubscriptions } from './run-news.ts';
import { advertised, inputSchemaOf } from './schemas.ts';
import { scoped } from './scoped.ts';
import { handOver, type SecretState, type SecretWire } from './secret-asking.ts';
import { approveRun, withToken } from './token-approval.ts';
import { isQuestion, parseArguments, type Question, refuseSecrets, type Tool, type ToolCall } from './tool.ts';
import { toolsOf } from './toolset.ts';
import { withProgress } from './waiting.ts';
import { toContentResult, type WireTool, wireOf } from './wire-tool.ts';

export type ServerDeps = {
  /** Opened at the first call; memoised by the caller. */
  app: () => Promise<McpApp>;
  guard: Guard;
  version: string;
  /** How often a principal may call a tool; left out: as often as he likes. */
  rates?: RateGuard;
  /** Groups beside core (`--toolsets`). */
  toolsets?: readonly string[];
  /** The page on which a person approves and types secrets; left out where nobody could open it. */
  pages?: () => Promise<PagePort>;
  /** Whether agents may hand back a token in a person's place: `approve_run` is listed then. */
  approvalTokens?: boolean;
  /** Further tools, listed last. */
  tools?: readonly (Tool | WireTool)[];
  /** Further resources and prompts, on every server that is made. */
  extend?: (server: McpServer) => void;
};

export const instructions =
  'Capstan runs jobs on Supabase and Dokploy as durable runs. 1. list_workflows, then start_workflow. 2. Do what `next` in the answer says: usually advance_run with one of the waitingFor events. 3. inspect_run while it works. If next.who is human, tell the person what next.say says, and wait. Never send a secret itself: send env:NAME or file:PATH, or ask:person to have the person type it on a local page.';

/** Ten minutes: a person answers, not a program. */
const personMs = 600_000;
const formSchema = { type: 'object' as const, properties: {} };

/** One process serves every round of a question, so its key lives as long as it does. */
const stateKey = randomBytes(32);

/** What travels through the client in the middle of a call, signed. */
type WireState = ApprovalState | (SecretState & Pick<ApprovalState, 'tool' | 'arguments'>);

function codecOf({ caller }: Connection) {
  return createRequestStateCodec<WireState>({
    key: stateKey,
    ttlSeconds: personMs / 1000,
    bind: (ctx) => `${ctx.mcpReq.method} ${caller.principal}`,
  });
}

/** What one call needs to know of the connection that it came by. */
type Served = { deps: ServerDeps; server: McpServer; connection: Connection; codec: ReturnType<typeof codecOf> };

const capabilities = {
  tools: { listChanged: false },
  prompts: { listChanged: false },
  resources: { subscribe: true, listChanged: false },
  completions: {},
};

/** A fresh server with every tool, for one connection and whoever is at its other end. */
export function createServer(deps: ServerDeps, connection: Connection = localConnection): McpServer {
  const codec = codecOf(connection);
  const server = new McpServer(
    { name: 'capstan', version: deps.version },
    { instructions, capabilities, requestState: { verify: codec.verify } },
  );
  const served: Served = { deps, server, connection, codec };
  for (const tool of [...toolsOf(deps.toolsets), ...(deps.approvalTokens ? [approveRun] : []), ...(deps.tools ?? [])]) {
    const { name, description, input, annotations } = tool.definition;
    const shown = { description, annotations, inputSchema: advertised(inputSchemaOf(input)) };
    const call = (args: unknown, ctx: ServerContext) => callTool(served, tool, args, ctx);
    if ('answer' in tool) server.registerTool(name, shown, call);
    else server.registerTool(name, { ...shown, outputSchema: advertised(tool.definition.output) }, call);
  }
  const shown = { app: async () => scoped(await deps.app(), connection), guard: deps.guard };
  registerResources(server, shown);
  registerKnowledge(server);
  registerPrompts(server, shown);
  registerSubscriptions(server, shown.app);
  deps.extend?.(server);
  return server;
}

async function callTool(
  served: Served,
  tool: Tool | WireTool,
  args: unknown,
  ctx: ServerContext,
): Promise<ToolResult | CallToolResult | InputRequiredResult> {
  const { name } = tool.definition;
  const { deps, connection } = served;
  try {
    await deps.rates?.take(connection.caller.principal, tool.definition);
    const parsed = parseArguments(tool.definition, args);
    refuseSecrets(name, args, deps.guard.scrub);
    requireAllowed(connection, tool.definition, parsed);
    requireReferences(connection, args);
    requireFiles(connection, args);
    if ('answer' in tool) return await answerOnWire(served, tool, args, ctx);
    const whole = await deps.app();
    if (connection.targets) requireWithinTargets(connection, tool.definition, parsed, await namesOfTargets(whole));
    const app = scoped(whole, connection);
    const pages = connection.role === 'approver' && isLocal(connection.caller.principal) ? deps.pages : undefined;
    const result = await tool.run(args, toCall(app, served, pages, name, args, ctx));
    if (isQuestion(result)) return toInputRequired(result);
    const paged = await withPage(pages, app.engine, result);
    const mayVouch = deps.approvalTokens && connection.role === 'approver' && !connection.denyDestructive;
    const answer = mayVouch ? await withToken(app.engine, connection.caller.principal, paged) : paged;
    return toResult(answer, deps.guard, keeper(app, connection));
  } catch (error) {
    if (error instanceof ProtocolError) throw error; // the SDK's own word to the client, such as a capability that it lacks
    return toErrorResult(name, error, deps.guard);
  }
}

/** Whoever comes over the network could not open a file of this machine. */
function keeper(app: McpApp, { caller }: Connection): KeepText | undefined {
  return isLocal(caller.principal) ? app.keepText : undefined;
}

async function answerOnWire({ server, codec, deps }: Served, tool: WireTool, args: unknown, ctx: ServerContext) {
  // The codec seals any JSON; its type says what an approval reads back.
  const mint = (state: unknown) => codec.mint(state as ApprovalState, ctx);
  const answer = await tool.answer(args, wireOf(server, ctx, mint));
  return Array.isArray(answer) ? toContentResult(answer, deps.guard) : answer;
}

async function namesOfTargets(app: McpApp): Promise<string[]> {
  return (await app.targets()).map((target) => target.name);
}

function toInputRequired({ message, requestState, url }: Question): InputRequiredResult {
  const approval =
    url === undefined ? inputRequired.elicit({ message, requestedSchema: formSchema }) : inputRequired.elicitUrl({ message, url });
  return inputRequired({ inputRequests: { approval }, requestState });
}

function toCall(app: McpApp, served: Served, pages: ServerDeps['pages'], tool: string, args: unknown, ctx: ServerContext): ToolCall {
  const { engine } = app;
  const { deps, server, codec, connection } = served;
  const { caller } = connection;
  const progress = progressOf(ctx, deps.guard.scrub);
  const by = { principal: caller.principal, door: caller.door };
  const act = async (first: () => Promise<Answer>): Promise<Answer | Question> => {
    const state = ctx.mcpReq.requestState<WireState>();
    if (state !== undefined && 'approval' in state) {
      requireSame(state, tool, args);
      return settle(engine, state, personSays(ctx), by);
    }
    try {
      return await first();
    } catch (error) {
      const asked = askedIn(error);
      if (!asked) throw error;
      if (connection.denyDestructive) {
        await engine.decline(asked.approval, { ...by, level: 'client-vouched' });
        throw destructiveDenied(tool);
      }
      const view = await engine.inspect(asked.run);
      if (asked.sealed !== undefined || connection.role !== 'approver' || !canAsk(server, ctx, 'form')) return view;
      if (await needsAnother(app, connection, asked.run)) return { ...view, next: anotherApprover };
      const message = printable(deps.guard.scrub(messageOf(asked, view.name)));
      if (isModern(ctx)) return { ask: 'person', message, requestState: await codec.mint(stateOf(asked, tool, args), ctx) };
      const form = { mode: 'form' as const, message, requestedSchema: formSchema };
      return settle(engine, asked, await askNow(form, ctx, progress), by);
    }
  };
  const wire = (): SecretWire => {
    const state = ctx.mcpReq.requestState<WireState>();
    if (state !== undefined && 'secrets' in state) requireSame(state, tool, args);
    return {
      engine,
      pages,
      canOpen: canAsk(server, ctx, 'url'),
      returned: state !== undefined && 'secrets' in state ? { state, says: personSays(ctx) } : undefined,
      openNow: isModern(ctx)
        ? undefined
        : (message, url) => askNow({ mode: 'url', message, url, elicitationId: randomUUID() }, ctx, progress),
      comeBack: async (message, url, asked) => ({
        ask: 'person',
        message,
        url,
        requestState: await codec.mint({ ...asked, ...callOf(tool, args) }, ctx),
      }),
      patiently: (outcome) =>
        withProgress({ progress }, 'Waiting for the person to type the secret', () => within(outcome, ctx.mcpReq.signal)),
    };
  };
  return { app, caller, signal: ctx.mcpReq.signal, progress, approved: act, handedOver: (request) => handOver(wire(), request) };
}

/** The outcome, or undefined after ten minutes or when the client cancels. */
async function within<T>(outcome: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(personMs)]);
  const late = new Promise<undefined>((resolve) => over.addEventListener('abort', () => resolve(undefined), { once: true }));
  return over.aborted ? undefined : Promise.race([outcome, late]);
}

const anotherApprover: Answer['next'] = {
  who: 'human',
  say: 'This run is about a production target: somebody else with the role approver, or a person at a terminal, approves what its starter asks for.',
};

/** Over the network, in production, the approver is not the starter (design §5). */
async function needsAnother(app: McpApp, { caller }: Connection, run: string): Promise<boolean> {
  if (isLocal(caller.principal)) return false;
  const [facts] = await app.runFacts([run]);
  if (facts?.principal !== caller.principal) return false;
  const production = (await app.targets()).filter((target) => target.tags.includes('production'));
  return production.some((target) => facts.about.includes(target.name));
}

/** 2026-07-28 carries its envelope with every request; older revisions shook hands once. */
function isModern(ctx: ServerContext): boolean {
  return ctx.mcpReq.envelope !== undefined;
}

const elicitationOf = z.looseObject({
  elicitation: z.looseObject({ form: z.unknown().optional(), url: z.unknown().optional() }).optional(),
});

/** A bare `elicitation: {}` means forms, as before there were modes. */
function canAsk(server: McpServer, ctx: ServerContext, mode: 'form' | 'url'): boolean {
  const envelope: Record<string, unknown> | undefined = ctx.mcpReq.envelope;
  const declared = elicitationOf.safeParse(envelope ? envelope[CLIENT_CAPABILITIES_META_KEY] : server.server.getClientCapabilities());
  const elicitation = declared.data?.elicitation;
  if (mode === 'url') return elicitation?.url !== undefined;
  return elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
}

function personSays(ctx: ServerContext): PersonSays {
  const response = inputResponse(ctx.mcpReq.inputResponses, 'approval');
  return response.kind === 'elicit' ? response.action : 'failed';
}

/** The older eras: the question goes out while the call is held open, with progress so that the client keeps waiting. */
async function askNow(params: ElicitRequestParams, ctx: ServerContext, progress: ToolCall['progress']): Promise<PersonSays> {
  const request = { method: 'elicitation/create' as const, params };
  try {
    const answer = await withProgress({ progress }, 'Waiting for the person to answer', () =>
      ctx.mcpReq.send(request, { timeout: personMs, signal: ctx.mcpReq.signal }),
    );
    return answer.action;
  } catch {
    return 'unasked'; // no answer, a broken client or a cancelled call: all leave the run waiting (A2)
  }
}

function progressOf(ctx: ServerContext, scrub: (text: string) => string): ToolCall['progress'] {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  let count = 0;
  return (say, percent) => {
    if (progressToken === undefined) return;
    count += 1;
    const message = printable(scrub(percent === undefined ? say : `${say} (${percent} %)`));
    const notification = { method: 'notifications/progress' as const, params: { progressToken, progress: count, message } };
    ctx.mcpReq.notify(notification).catch(() => undefined); // the client is gone; the call ends by its signal
  };
}
