/** Starts an entry as the client would, once: a real MCP client, the very command, nothing of our environment but what clients pass on. */
import { AppError } from '../../errors.ts';
import type { Entry } from './clients.ts';

export type Tried = { version: string; tools: number; startMs: number; dokploys: string[] };

const patienceMs = 30_000;

/** Throws CLIENT_START_FAILED with the last thing that the server said on standard error. */
export async function tryEntry({ command, args, env }: Entry): Promise<Tried> {
  const [{ Client }, { getDefaultEnvironment, StdioClientTransport }] = await Promise.all([
    import('@modelcontextprotocol/client'),
    import('@modelcontextprotocol/client/stdio'),
  ]);
  const transport = new StdioClientTransport({ command, args, env: { ...getDefaultEnvironment(), ...env }, stderr: 'pipe' });
  let said = '';
  transport.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2_000);
  });
  const client = new Client({ name: 'capstan-connect', version: '1' });
  const began = performance.now();
  try {
    await client.connect(transport, { timeout: patienceMs });
    const startMs = Math.round(performance.now() - began);
    const { tools } = await client.listTools();
    const { structuredContent, isError, content } = await client.callTool({ name: 'list_targets', arguments: {} }, { timeout: patienceMs });
    if (isError === true) {
      said = content.map((part) => ('text' in part ? part.text : '')).join(' ');
      throw new Error(said);
    }
    return { version: client.getServerVersion()?.version ?? '', tools: tools.length, startMs, dokploys: namesIn(structuredContent) };
  } catch (cause) {
    throw new AppError('CLIENT_START_FAILED', {
      message: `Started as the client would start it, Capstan did not answer: ${said.trim().split('\n').at(-1) ?? ''}`.trim(),
      fix: `Try it by hand: ${[command, ...args].join(' ')}. Nothing was written.`,
      cause,
    });
  } finally {
    await client.close().catch(() => undefined); // it may never have been open
  }
}

function namesIn(answer: unknown): string[] {
  const rows = (answer as { dokploys?: { name?: unknown }[] } | undefined)?.dokploys ?? []; // our own list_targets answers in this shape
  return rows.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
}
