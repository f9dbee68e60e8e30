/** Every registered workflow and the relay, every path, every kind of crash (design §10.1): the same program as `npm run test:faults`. */
import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';
import { packageFile } from '../../src/package-root.ts';

const runMatrix = (): Promise<{ code: number | null; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [packageFile('scripts', 'faults.mjs')], { maxBuffer: 16 * 1024 * 1024 }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });

test('no crash at any moment of any path changes how a run ends, and nothing is applied twice', async () => {
  const { code, stdout, stderr } = await runMatrix();
  const lines = stdout.trimEnd().split('\n');
  expect(stderr).toBe('');
  expect(lines.filter((line) => /^(DIFFERENCE|EMPTY|left out)/.test(line))).toEqual([]);
  expect(lines.at(-1)).toMatch(/^\d{3,} cases, 0 differences$/);
  expect(code).toBe(0);
}, 600_000);
