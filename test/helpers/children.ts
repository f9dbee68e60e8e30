/** Child processes of a test: every one is remembered, and `endAll` leaves none behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { compiledHelper } from './build.ts';

export type Ended = { code: number | null; signal: NodeJS.Signals | null };

export type Child = {
  pid: number;
  /** Standard error so far, for the message of a failing test. */
  stderr(): string;
  /** Resolves with the next line on standard output that was not taken yet; rejects when the process ends first. */
  line(): Promise<string>;
  send(text: string): void;
  kill(signal: NodeJS.Signals): void;
  ended: Promise<Ended>;
};

export type Children = {
  /** Starts a compiled helper, or the JavaScript file at an absolute path. */
  start(program: string, args: readonly string[], options?: StartOptions): Child;
  /** Kills what still runs and waits for its end. */
  endAll(): Promise<void>;
};

export type StartOptions = { env?: Record<string, string>; uid?: number; gid?: number };

export function createChildren(): Children {
  const running = new Set<{ process: ChildProcess; ended: Promise<Ended> }>();
  return {
    start(program, args, { env, uid, gid } = {}) {
      const file = program.endsWith('.js') ? program : compiledHelper(program);
      const started = spawn(process.execPath, [file, ...args], {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'] ?? '', ...env },
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      });
      const ended = new Promise<Ended>((resolve) => started.once('close', (code, signal) => resolve({ code, signal })));
      const entry = { process: started, ended };
      running.add(entry);
      void ended.then(() => running.delete(entry));
      return childOf(started, ended);
    },
    async endAll() {
      const left = [...running];
      for (const { process: each } of left) each.kill('SIGKILL');
      await Promise.all(left.map((each) => each.ended));
    },
  };
}

function childOf(started: ChildProcess, ended: Promise<Ended>): Child {
  const lines: string[] = [];
  const waiting: ((text: string) => void)[] = [];
  let complaints = '';
  started.stderr?.on('data', (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-20_000);
  });
  started.stdin?.on('error', () => undefined); // a killed child reads no more
  if (started.stdout)
    createInterface({ input: started.stdout }).on('line', (text) => {
      const next = waiting.shift();
      if (next) next(text);
      else lines.push(text);
    });
  return {
    pid: started.pid ?? 0,
    stderr: () => complaints,
    line: () =>
      new Promise((resolve, reject) => {
        const ready = lines.shift();
        if (ready !== undefined) return resolve(ready);
        waiting.push(resolve);
        void ended.then(({ code, signal }) => reject(new Error(`the child ended (${code ?? signal}) without a line: ${complaints}`)));
      }),
    send: (text) => void started.stdin?.write(`${text}\n`),
    kill: (signal) => void started.kill(signal),
    ended,
  };
}
