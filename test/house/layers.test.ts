/** The walls of the house (design §3) are lint rules; a wall that lets a bad import through is no wall. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { packageFile } from '../../src/package-root.ts';

/** File by file what it may not import: [file, text]. */
const refused: readonly [file: string, text: string][] = [
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
];
const allowed: readonly [file: string, text: string][] = [
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
];
const environment = 'export const x = process.env;';
const all = [...refused, ...allowed, ['src/engine/x.ts', environment], ['src/config.ts', environment]] as const;

/** Rules that each text breaks, in the order of `all`: one run of the linter judges them together, each in a file of its own name. */
let broken: string[][];
beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-layers-'));
  try {
    copyFileSync(packageFile('biome.json'), join(folder, 'biome.json'));
    symlinkSync(packageFile('node_modules'), join(folder, 'node_modules'));
    execFileSync('git', ['init', '-q'], { cwd: folder });
    writeFileSync(join(folder, '.gitignore'), 'node_modules\n');
    const files = all.map(([file], index) => file.replace(/\/x\.ts$/, `/x${index}.ts`));
    for (const [index, file] of files.entries()) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), `${all[index]?.[1]}\n`);
    }
    const biome = packageFile('node_modules', '@biomejs', 'biome', 'bin', 'biome');
    const done = spawnSync(process.execPath, [biome, 'lint', '--reporter=json', '--max-diagnostics=1000', '.'], {
      cwd: folder,
      encoding: 'utf8',
    });
    const { diagnostics } = JSON.parse(done.stdout) as { diagnostics: { category: string; location: { path: string } }[] }; // biome's report
    broken = files.map((file) => diagnostics.filter(({ location }) => location.path.endsWith(file)).map(({ category }) => category));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

const wall = 'lint/style/noRestrictedImports';

test.each(refused)('%s may not say %s', (...bad) => {
  expect(broken[refused.findIndex(([file, text]) => file === bad[0] && text === bad[1])]).toContain(wall);
});

test.each(allowed)('%s may say %s', (...good) => {
  const at = allowed.findIndex(([file, text]) => file === good[0] && text === good[1]);
  expect(broken[refused.length + at]).not.toContain(wall);
});

test('the environment is read in config.ts alone', () => {
  expect(broken.at(-2)).toContain('lint/style/noProcessEnv');
  expect(broken.at(-1)).not.toContain('lint/style/noProcessEnv');
});
