/**
 * A program of somebody else between two streams. Invariants:
 * 1. No secret in its arguments or environment: a password goes through a file that has no name any more when the program starts.
 * 2. It ends with the signal, and with us: its output is a pipe that breaks.
 * 3. It has ended well only when its exit code says so; what it wrote on stderr is told, cut short, as its own words.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import { openOutput, type Pieces } from './program-output.ts';

export type ChildOptions = {
  file: string;
  args: readonly string[];
  env?: Record<string, string>;
  signal?: AbortSignal;
  /** Readable by the program as /dev/fd/3 and by nobody else. */
  secretFile?: string;
  /** Readable by the program as /dev/fd/4; asks for a secret file too. */
  rootsFile?: string;
  /** Words that must not come back in its messages. */
  secrets?: readonly string[];
};

type Program = {
  pid: number | undefined;
  /** Resolves when it ended with 0; else PROGRAM_FAILED, or the signal's reason. */
  ended: Promise<void>;
  /** Ends it if it still runs. */
  stop(): void;
};

export type Child = Program & { stdin: Writable; stdout: Readable };

const tailBytes = 4_000;

export function startChild(options: ChildOptions): Child {
  const { child, program } = startProgram(options, 'pipe');
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new TypeError('both are pipes');
  stdin.on('error', () => undefined); // an end before all was read is told by `ended`
  return { ...program, stdin, stdout };
}

/** A program that gets nothing and writes much. On Windows a program cannot be given the other end of a socket: its pieces are those of a pipe. */
export async function startReading(options: ChildOptions): Promise<Program & { pieces: Pieces }> {
  if (process.platform === 'win32') {
    const { stdin, stdout, ...program } = startChild(options);
    stdin.end();
    return { ...program, pieces: stdout };
  }
  const { pieces, far } = await openOutput();
  try {
    const { child, program } = startProgram(options, far);
    child.stdin?.end();
    return { ...program, pieces };
  } catch (error) {
    pieces.destroy();
    throw error;
  } finally {
    far.destroy();
  }
}

function startProgram(
  { file, args, env = {}, signal, secretFile, rootsFile, secrets = [] }: ChildOptions,
  output: 'pipe' | Socket,
): { child: ChildProcess; program: Program } {
  const handles = [secretFile, rootsFile].filter((text) => text !== undefined).map(namelessFile);
  let child: ChildProcess;
  try {
    child = spawn(file, [...args], { env: { LC_ALL: 'C', PATH: '/usr/bin:/bin', ...env }, stdio: ['pipe', output, 'pipe', ...handles] });
  } finally {
    for (const handle of handles) closeSync(handle);
  }
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-tailBytes);
  });
  const stop = () => void child.kill('SIGTERM');
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop, { once: true });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', (cause) => reject(failed(file, cause.message, cause)));
    child.once('close', (code, by) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else reject(failed(file, quoteVendorText(said, secrets, 1_000) || `it ended with ${by ?? code}`));
    });
  });
  // Whoever awaits it later still hears of it; until then an early end is no unhandled rejection.
  ended.catch(() => undefined);
  return { child, program: { pid: child.pid, ended, stop } };
}

/** An open file of mode 0600 whose name is gone. */
function namelessFile(text: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-'));
  const path = join(folder, 'pass');
  try {
    const handle = openSync(path, 'wx+', 0o600);
    writeSync(handle, text, 0);
    return handle;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function failed(file: string, said: string, cause?: unknown): AppError {
  const name = file.split('/').at(-1) ?? file;
  return new AppError('PROGRAM_FAILED', {
    message: `The program ${name} did not end well.`,
    fix: `Read in the details what ${name} says.`,
    retry: 'later',
    details: { program: name, said },
    ...(cause === undefined ? {} : { cause }),
  });
}
