/** `capstan connect` in a temporary HOME: the file is written, the entry works as the client starts it, and goes out again. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { parse } from 'smol-toml';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { clientFile, clientNames } from '../../src/cli/connect/clients.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { mainFile } from '../helpers/mcp-clients.ts';

let place: ReturnType<typeof temporaryHome>;
beforeEach(() => {
  place = temporaryHome();
});
afterEach(() => place.remove());

const fileOf = (name: (typeof clientNames)[number]) =>
  clientFile(name, { platform: process.platform, home: place.home, variable: () => undefined });
const entryShape = z.looseObject({ command: z.string(), args: z.array(z.string()), env: z.record(z.string(), z.string()) });

/** The entry as it stands in the file, started by a client of the older kind. */
async function startedBy(entry: z.infer<typeof entryShape>): Promise<number> {
  const { command, args, env } = entry;
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StdioClientTransport({ command, args, env }));
  const { tools } = await client.listTools();
  await client.close();
  return tools.length;
}

test.each(clientNames)('%s: writes an entry that works, keeps what is there, and takes it out again', async (name) => {
  const { path, key, format } = fileOf(name);
  const before = format === 'toml' ? 'model = "x" # mine\n' : '{\n  "theme": "dark"\n}\n';
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, before);
  const home = join(place.home, 'state');
  const shown = await capstan(home, ['connect', name, '--print'], { HOME: place.home, USERPROFILE: place.home });
  expect(shown.exit).toBe(0);
  expect(shown.stdout).toContain(path);
  expect(readFileSync(path, 'utf8')).toBe(before);

  const done = await capstan(home, ['connect', name], {
    HOME: place.home,
    USERPROFILE: place.home,
    SECRET_THING: 'canary-in-the-environment',
  });
  expect(done.stderr).toBe('');
  expect(done.stdout).toMatch(/answered in \d+ ms with \d+ tools/);
  expect(done.stdout).toContain('Set up Supabase on the dokploy main with the host supabase.example.com.');
  const text = readFileSync(path, 'utf8');
  expect(text).not.toContain('canary-in-the-environment');
  const root: unknown = format === 'toml' ? parse(text) : JSON.parse(text);
  const entry = entryShape.parse((root as Record<string, Record<string, unknown>>)[key]?.['capstan']);
  expect(entry).toMatchObject({ command: process.execPath, args: [mainFile, 'serve'], env: { CAPSTAN_HOME: home } });
  expect(await startedBy(entry)).toBeGreaterThan(8);
  expect(
    readdirSync(dirname(path)).filter((each) => each.startsWith('.claude.json.') || each.includes('.json.') || each.includes('.toml.')),
  ).toEqual([]);

  expect(jsonOf(await capstan(home, ['connect', name, '--json'], { HOME: place.home, USERPROFILE: place.home }))).toMatchObject({
    written: false,
  });
  const other = await capstan(home, ['connect', name, '--toolsets', 'all'], { HOME: place.home, USERPROFILE: place.home });
  expect(other.stderr).toContain('CLIENT_ENTRY_EXISTS');
  const out = await capstan(home, ['connect', name, '--remove'], { HOME: place.home, USERPROFILE: place.home });
  expect(out.exit).toBe(0);
  const after = readFileSync(path, 'utf8');
  if (format === 'toml') expect(after).toBe(before);
  else expect(JSON.parse(after)).toEqual({ theme: 'dark', [key]: {} });
});

test('a broken file is refused untouched, and so is a server that does not start', async () => {
  const { path } = fileOf('cursor');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '{ "mcpServers": { "a": ');
  const env = { HOME: place.home, USERPROFILE: place.home };
  const refused = await capstan(join(place.home, 'state'), ['connect', 'cursor'], env);
  expect(refused.exit).toBe(1);
  expect(refused.stderr).toContain('CLIENT_FILE_BROKEN');
  expect(readFileSync(path, 'utf8')).toBe('{ "mcpServers": { "a": ');
  // A home that cannot be made: the server answers, the first call tells.
  writeFileSync(join(place.home, 'file'), '');
  const dead = await capstan(join(place.home, 'file', 'home'), ['connect', 'vscode'], env);
  expect(dead.exit).not.toBe(0);
  expect(existsSync(fileOf('vscode').path)).toBe(false);
});

test.skipIf(process.platform === 'win32')('a file that is a link stays one', async () => {
  const { path } = fileOf('cursor');
  mkdirSync(dirname(path), { recursive: true });
  const real = join(place.home, 'dotfiles.json');
  writeFileSync(real, '{}');
  symlinkSync(real, path);
  const done = await capstan(join(place.home, 'state'), ['connect', 'cursor'], { HOME: place.home });
  expect(done.exit).toBe(0);
  expect(JSON.parse(readFileSync(real, 'utf8'))).toHaveProperty('mcpServers.capstan');
});

test('unknown clients, flags and toolsets are refused', async () => {
  const env = { HOME: place.home, USERPROFILE: place.home };
  expect(await capstan(place.home, ['connect', 'emacs'], env)).toMatchObject({ exit: 2, stderr: expect.stringContaining('claude-code') });
  expect((await capstan(place.home, ['connect', 'cursor', '--toolsets', 'nothing'], env)).stderr).toContain('TOOLSET_UNKNOWN');
  expect((await capstan(place.home, ['connect', 'cursor', '--write'], env)).exit).toBe(2);
  expect(existsSync(fileOf('cursor').path)).toBe(false);
});
