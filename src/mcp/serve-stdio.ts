/**
 * MCP over standard input and output. Invariants:
 * 1. Nothing but MCP is ever written to standard output.
 * 2. The app is opened by the first call, or a moment after the first answer so that unfinished runs go on (engine.md L1, design §11).
 * 3. The connection ends when the client closes our input or cannot be written to any more; then `ended` resolves.
 */
import type { McpServer } from '@modelcontextprotocol/server';
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio';
import { type Connection, localConnection } from './connection.ts';
import { followRuns, listensIn, type RunNews } from './run-news.ts';
import { scoped } from './scoped.ts';
import { createServer, type ServerDeps } from './server.ts';

export type Serving = {
  /** Resolves when the client has gone. */
  ended: Promise<void>;
  close(): Promise<void>;
};

/** Late enough for a client's opening questions to be answered first. */
const warmUpMs = 1_000;

/** Serves both eras over this process's standard streams until the client goes. */
export function serveOverStdio(deps: ServerDeps, connection: Connection = localConnection): Serving {
  const transport = new StdioServerTransport();
  const { send } = transport;
  let warmUp: NodeJS.Timeout | undefined;
  transport.send = (message) => {
    // A failed opening is told by the first call; here it only would have been early.
    warmUp ??= setTimeout(() => void deps.app().catch((error: unknown) => deps.guard.logError('warm-up', error)), warmUpMs);
    return send.call(transport, message);
  };
  let server: McpServer | undefined;
  const made = () => {
    server = createServer(deps, connection);
    return server;
  };
  let news: Promise<RunNews> | undefined;
  onReceived(transport, (message) => {
    if (!listensIn(message)) return;
    const tell = (uri: string) => void server?.server.sendResourceUpdated({ uri }).catch(() => undefined); // the client has gone
    news ??= deps.app().then((app) => followRuns(scoped(app, connection), tell)); // what is not theirs is not looked at
    news.catch((error: unknown) => deps.guard.logError('listen', error));
  });
  const handle = serveStdio(made, { transport, onerror: (error) => deps.guard.logError('stdio', error) });
  const ended = new Promise<void>((resolve) => {
    for (const event of ['end', 'close'] as const) process.stdin.once(event, () => resolve());
    process.stdout.once('error', () => resolve());
  }).finally(() => {
    clearTimeout(warmUp);
    void news?.then(
      (each) => each.stop(),
      () => undefined, // told already
    );
  });
  return { ended, close: () => handle.close() };
}

/** Shows every message to `look` before whoever serves the transport gets it: the SDK answers `subscriptions/listen` by itself. */
function onReceived(transport: StdioServerTransport, look: (message: unknown) => void): void {
  let handler: StdioServerTransport['onmessage'];
  Object.defineProperty(transport, 'onmessage', {
    get: () => handler,
    set(next: StdioServerTransport['onmessage']) {
      handler =
        next &&
        ((message) => {
          look(message);
          next(message);
        });
    },
  });
}
