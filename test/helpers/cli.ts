/** The compiled CLI as real child processes, and at a real pseudo-terminal where `script` (util-linux) is there. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mainFile } from './mcp-clients.ts';

export type Ended = { exit: number; stdout: string; stderr: string };

/** Runs one command line to its end. Standard input is empty and no terminal. */
export function capstan(home: string, args: string[], env: Record<string, string> = {}, timeout = 60_000): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [mainFile, ...args],
      { env: { CAPSTAN_HOME: home, PATH: process.env['PATH'] ?? '', HOME: home, ...env }, timeout, maxBuffer: 16 * 1024 * 1024 },
      (_error, stdout, stderr) => resolve({ exit: child.exitCode ?? -1, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

/** The one JSON document on standard output; throws when there is another thing. */
export function jsonOf({ stdout }: Ended): Record<string, unknown> {
  const value: unknown = JSON.parse(stdout);
  if (typeof value !== 'object' || value === null) throw new Error('no JSON object on standard output');
  return { ...value };
}

/** Why tests at a pseudo-terminal cannot run here, or undefined when they can. */
export function whyNoTerminal(): string | undefined {
  if (process.platform !== 'linux') return 'needs script of util-linux, which this system has in another form';
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux')
      ? undefined
      : 'script is not that of util-linux';
  } catch {
    return 'needs the program script: apt-get install bsdutils';
  }
}

/** A person at a terminal: sees what is printed, and answers a question once it stands there. */
export function atTerminal(
  home: string,
  args: string[],
  answers: { when: string; type: string }[],
): Promise<{ exit: number; screen: string }> {
  const command = [process.execPath, mainFile, ...args].map((word) => `'${word}'`).join(' ');
  return new Promise((resolve) => {
    const child = spawn('script', ['-qec', `stty cols 200 rows 50; ${command}`, '/dev/null'], {
      env: { CAPSTAN_HOME: home, PATH: process.env['PATH'] ?? '', HOME: home, TERM: 'xterm', SHELL: '/bin/sh' },
    });
    const left = [...answers];
    let screen = '';
    let seen = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      screen += chunk.toString();
      const next = left[0];
      const at = next ? screen.indexOf(next.when, seen) : -1;
      if (!next || at < 0) return;
      seen = at + next.when.length;
      left.shift();
      child.stdin.write(next.type);
    });
    // A question that never comes must fail the test with what stood on the screen, not hang it.
    const giveUp = setTimeout(() => child.kill('SIGKILL'), 25_000);
    child.once('close', (code) => {
      clearTimeout(giveUp);
      resolve({
        exit: code ?? -1,
        screen: left.length === 0 ? screen : `${screen}\n(never asked: ${left.map(({ when }) => when).join(', ')})`,
      });
    });
  });
}
