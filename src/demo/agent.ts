import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { z } from 'zod';
import { AppError } from '../errors.ts';

/** The part of a RunView that an agent needs. */
const viewSchema = z.looseObject({
  runId: z.string(),
  name: z.string(),
  state: z.string(),
  status: z.string(),
  version: z.number(),
  title: z.string(),
  waitingFor: z.array(z.looseObject({ event: z.string() })),
  working: z.array(z.looseObject({ title: z.string(), progress: z.looseObject({ say: z.string() }).optional() })),
  checkpoints: z.array(z.looseObject({ to: z.number(), name: z.string() })),
  details: z.record(z.string(), z.unknown()),
  output: z.unknown().optional(),
  error: z.looseObject({ code: z.string(), message: z.string() }).optional(),
  next: z.looseObject({ who: z.string(), say: z.string() }),
});
export type AgentView = z.infer<typeof viewSchema>;

export type Agent = {
  pid: number;
  call(tool: string, args: Record<string, unknown>): Promise<AgentView>;
  /** Calls inspect_run until nothing works any more; `say` hears each new progress. */
  settled(run: string, say: (text: string) => void): Promise<AgentView>;
  /** SIGKILL, as a crash or a closed laptop would do. */
  kill(): void;
  close(): Promise<void>;
};

/** A scripted agent: an official MCP client over stdio against the real server. `approve` is the person in front of it. */
export async function startAgent(main: string, home: string, approve: (statement: string) => boolean): Promise<Agent> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [main, 'serve'],
    env: { CAPSTAN_HOME: home, CAPSTAN_LOG: 'warn' },
    stderr: 'ignore',
  });
  const client = new Client({ name: 'capstan-demo', version: '1' }, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler('elicitation/create', async (request) => {
    const { message } = z.looseObject({ message: z.string() }).parse(request.params);
    return approve(message) ? { action: 'accept', content: {} } : { action: 'decline' };
  });
  await client.connect(transport);
  const call = async (tool: string, args: Record<string, unknown>): Promise<AgentView> => {
    const answer = await client.callTool({ name: tool, arguments: args }, { timeout: 60_000 });
    if (answer.isError)
      throw new AppError('TOOL_FAILED', { message: `${tool} answered: ${JSON.stringify(answer.content).slice(0, 1_500)}` });
    return viewSchema.parse(answer.structuredContent);
  };
  return {
    pid: transport.pid ?? 0,
    call,
    async settled(run, say) {
      let said = '';
      for (;;) {
        const view = await call('inspect_run', { run, waitMs: 2_000 });
        const now = view.working[0] ? `${view.working[0].title}${view.working[0].progress ? `: ${view.working[0].progress.say}` : ''}` : '';
        if (now !== '' && now !== said) say(now);
        said = now;
        if (!['working', 'settling', 'rolling_back'].includes(view.status)) return view;
      }
    },
    kill() {
      if (transport.pid) process.kill(transport.pid, 'SIGKILL');
    },
    close: () => client.close(),
  };
}
