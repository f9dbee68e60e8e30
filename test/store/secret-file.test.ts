import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSecretFile } from '../../src/store/secret-file.ts';

let folder: string;
let home: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-secret-'));
  home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'key.json'), '{}');
  writeFileSync(join(folder, 'pass'), 'the password\n');
  writeFileSync(join(folder, 'big'), 'x'.repeat(70_000));
  symlinkSync(join(home, 'key.json'), join(folder, 'link'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the last line break is not part of the secret', () => {
  expect(readSecretFile(join(folder, 'pass'), home)).toBe('the password');
});

test.each(['home/key.json', 'link', 'big', 'missing', 'home'])('%s is refused', (name) => {
  expect(() => readSecretFile(join(folder, name), home)).toThrow(/file:/);
});

test.each(['relative/path', '/proc/self/environ', '/dev/zero'])('%s is refused', (path) => {
  expect(() => readSecretFile(path, home)).toThrow(/file:/);
});
