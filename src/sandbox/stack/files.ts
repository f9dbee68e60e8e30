/**
 * The folder `files` of a stack on the machine that is pretended, as far as containers write there: what belongs to `volumes/functions`.
 * 1. A deployment writes the file mounts of Dokploy into it, over what stands there, and removes nothing.
 * 2. It goes with the service.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { MountRow } from '../rows.ts';

export type StackFiles = {
  write(composeId: string, mounts: readonly MountRow[]): void;
  remove(composeId: string): void;
  /** Bash inside the container of the functions: its folder is a real one, its /tmp another; answers what it printed and whether it ended well. */
  runInFunctions(composeId: string, script: string, args: readonly string[]): Promise<{ ok: boolean; output: string }>;
};

const inContainer = '/home/deno/functions';
const kept = /^\/?volumes\/functions\//;

export function createStackFiles(root: string): StackFiles {
  const folderOf = (composeId: string) => join(root, composeId);
  return {
    write(composeId, mounts) {
      mkdirSync(join(folderOf(composeId), 'volumes', 'functions'), { recursive: true });
      for (const { type, filePath, content } of mounts) {
        if (type !== 'file' || !kept.test(filePath ?? '') || normalize(filePath ?? '') !== filePath) continue;
        const file = join(folderOf(composeId), filePath);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, content ?? '');
      }
    },
    remove: (composeId) => rmSync(folderOf(composeId), { recursive: true, force: true }),
    runInFunctions(composeId, script, args) {
      const folder = folderOf(composeId);
      const temporary = join(folder, 'tmp-of-functions');
      if (existsSync(folder)) mkdirSync(temporary, { recursive: true });
      const text = script.replaceAll('/tmp/', `${temporary}/`).replaceAll(inContainer, join(folder, 'volumes', 'functions'));
      return new Promise((resolve) => {
        const options = { env: { PATH: '/usr/local/bin:/usr/bin:/bin' }, maxBuffer: 64 * 1024 * 1024 };
        const child = execFile('bash', ['-s', '--', ...args], options, (error, stdout, stderr) =>
          resolve({ ok: error === null, output: `${stdout}${stderr}` }),
        );
        child.stdin?.end(text);
      });
    },
  };
}
