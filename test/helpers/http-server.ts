/** A server that speaks MCP over HTTP, as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { compiledHelper } from './build.ts';
import type { RelayHttpOptions } from './relay-http-server.ts';

export type HttpServer = {
  url: string;
  /** Without /mcp. */
  base: string;
  child: ChildProcess;
  stderr: () => string;
  /** Its exit code after a signal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
};

/** Resolves when it listens; rejects with what it said when it does not come up. */
export async function startHttpServer(args: string[], env: NodeJS.ProcessEnv = {}): Promise<HttpServer> {
  const child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const url = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const [found] = /http:\S+/.exec(said) ?? [];
      if (found !== undefined && said.includes('\n')) resolve(found);
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}${errors}`)));
  });
  return {
    url,
    base: url.slice(0, -'/mcp'.length),
    child,
    stderr: () => errors,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null) return child.exitCode;
      const exited = once(child, 'exit');
      child.kill(signal);
      const [code] = await exited;
      return code;
    },
  };
}

/** The relay workflow over HTTP. */
export function startRelayHttp(home: string, world: string, options: RelayHttpOptions = {}): Promise<HttpServer> {
  return startHttpServer([compiledHelper('relay-http-server'), home, world, JSON.stringify(options)]);
}
