/** The walls of the house (design §3) are lint rules; a wall that lets a bad import through is no wall. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageFile } from '../../src/package-root.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-layers-'));
  copyFileSync(packageFile('biome.json'), join(folder, 'biome.json'));
  symlinkSync(packageFile('node_modules'), join(folder, 'node_modules'));
  execFileSync('git', ['init', '-q'], { cwd: folder });
  writeFileSync(join(folder, '.gitignore'), 'node_modules\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function lint(file: string, line: string): string {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${line}\n`);
  const done = spawnSync(
    process.execPath,
    [packageFile('node_modules', '@biomejs', 'biome', 'bin', 'biome'), 'lint', '--reporter=json', path],
    { cwd: folder, encoding: 'utf8' },
  );
  rmSync(path);
  return done.stdout;
}

test.each([
  ['machines/x.ts', "import { readFileSync } from 'node:fs';\nreadFileSync('x');"],
  ['machines/x.ts', "import { createEngine } from '../src/engine/engine.ts';\ncreateEngine;"],
  ['machines/effects/x.ts', "import got from 'got';\ngot;"],
  ['src/engine/x.ts', "import { z } from 'zod';\nz;"],
  ['src/engine/x.ts', "import { randomUUID } from 'node:crypto';\nrandomUUID();"],
  ['src/engine/x.ts', "import { openDatabase } from '../store/sqlite/database.ts';\nopenDatabase;"],
  ['src/store/x.ts', "import { createEngine } from '../engine/engine.ts';\ncreateEngine;"],
  ['src/store/x.ts', "import { setup } from 'xstate';\nsetup;"],
  ['src/effects/x.ts', "import { createStore } from '../store/sqlite/store.ts';\ncreateStore;"],
  ['src/effects/dokploy/x.ts', "import { plan } from '../../engine/plan.ts';\nplan;"],
  ['src/effects/dokploy/x.ts', "import { workflows } from '../../../machines/registry.ts';\nworkflows;"],
  ['src/mcp/x.ts', "import { createStore } from '../store/sqlite/store.ts';\ncreateStore;"],
  ['src/mcp/x.ts', "import { setup } from 'xstate';\nsetup;"],
  ['src/web/x.ts', "import { createVault } from '../store/vault.ts';\ncreateVault;"],
  ['src/engine/x.ts', "import { createServer } from '../mcp/server.ts';\ncreateServer;"],
  ['src/effects/x.ts', "import { startSandbox } from '../sandbox/start.ts';\nstartSandbox;"],
  ['src/sandbox/x.ts', "import { createEngine } from '../engine/engine.ts';\ncreateEngine;"],
  ['src/doctor/x.ts', "import { readFileSync } from 'node:fs';\nreadFileSync('x');"],
  ['src/doctor/rules/x.ts', "import { createDokployClient } from '../../effects/dokploy/client.ts';\ncreateDokployClient;"],
  ['src/catalog/x.ts', "import { readFileSync } from 'node:fs';\nreadFileSync('x');"],
  ['src/catalog/x.ts', "import { readCatalog } from '../effects/postgres/read-catalog.ts';\nreadCatalog;"],
  ['src/catalog/advisors/x.ts', "import { openSession } from '../../effects/postgres/open.ts';\nopenSession;"],
])('%s may not say %s', (file, line) => {
  expect(lint(file, line)).toContain('noRestrictedImports');
});

test.each([
  [
    'machines/x.ts',
    "import { setup } from 'xstate';\nimport { z } from 'zod';\nimport { noPayload } from './effects/meta.ts';\nexport const x = [setup, z, noPayload];",
  ],
  ['src/engine/x.ts', "import { AppError } from '../errors.ts';\nimport { plan } from './plan.ts';\nexport const x = [AppError, plan];"],
  [
    'src/store/x.ts',
    "import { eq } from 'drizzle-orm';\nimport type { Store } from '../engine/ports.ts';\nexport const x = (s: Store) => [eq, s];",
  ],
  [
    'src/effects/dokploy/x.ts',
    "import { z } from 'zod';\nimport { defineHandler } from '../handler.ts';\nexport const x = [z, defineHandler];",
  ],
])('%s may say %s', (file, line) => {
  expect(lint(file, line)).not.toContain('noRestrictedImports');
});

test('the environment is read in config.ts alone', () => {
  expect(lint('src/engine/x.ts', 'export const x = process.env;')).toContain('noProcessEnv');
  expect(lint('src/config.ts', 'export const x = process.env;')).not.toContain('noProcessEnv');
});
