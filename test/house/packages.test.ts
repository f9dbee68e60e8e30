/** What is published fits together: the npm package, the registry's server.json, the .mcpb manifest, the image. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { manifestOf, slot } from '../../scripts/manifest.mjs';
import { faultsOf, placeholder } from '../../scripts/publishable.mjs';
import { serverJsonOf } from '../../scripts/server-json.mjs';
import { toolsOf } from '../../src/mcp/toolset.ts';
import { packageFile } from '../../src/package-root.ts';
import { capstan } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { startHttpServer } from '../helpers/http-server.ts';
import { connect, mainFile } from '../helpers/mcp-clients.ts';

let place: ReturnType<typeof temporaryHome>;
beforeEach(() => {
  place = temporaryHome();
});
afterEach(() => place.remove());

const read = (...path: string[]) => readFileSync(packageFile(...path), 'utf8');
const pkg = z
  .looseObject({
    name: z.string(),
    version: z.string(),
    description: z.string(),
    license: z.string(),
    keywords: z.array(z.string()),
    engines: z.object({ node: z.string() }),
    mcpName: z.string(),
    bin: z.record(z.string(), z.string()),
    files: z.array(z.string()),
  })
  .parse(JSON.parse(read('package.json')));

// The registry's format of 2025-12-11 as far as it is used here, strict where it allows more: what is not understood is not published.
const input = {
  description: z.string().optional(),
  isRequired: z.boolean().optional(),
  isSecret: z.boolean().optional(),
  format: z.enum(['string', 'number', 'boolean', 'filepath']).optional(),
  default: z.string().optional(),
  placeholder: z.string().optional(),
  choices: z.array(z.string()).optional(),
  value: z.string().optional(),
};
const exactVersion = z.string().regex(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
const serverFile = z.strictObject({
  $schema: z.literal('https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json'),
  name: z
    .string()
    .min(3)
    .max(200)
    .regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/),
  title: z.string().min(1).max(100),
  description: z.string().min(1).max(100),
  version: exactVersion,
  packages: z.array(
    z.strictObject({
      registryType: z.literal('npm'),
      identifier: z.string(),
      version: exactVersion,
      runtimeHint: z.literal('npx'),
      transport: z.strictObject({ type: z.literal('stdio') }),
      packageArguments: z.array(
        z.union([
          z.strictObject({ ...input, type: z.literal('positional'), value: z.string() }),
          z.strictObject({ ...input, type: z.literal('named'), name: z.string().startsWith('--') }),
        ]),
      ),
      environmentVariables: z.array(z.strictObject({ ...input, name: z.string() })),
    }),
  ),
});

test('server.json is of the registry format, and says what package.json says', async () => {
  const server = serverFile.parse(JSON.parse(read('server.json')));
  expect(server).toMatchObject({ name: pkg.mcpName, version: pkg.version, packages: [{ identifier: pkg.name, version: pkg.version }] });
  const [npm] = server.packages;
  const { stdout } = await capstan(place.home, ['serve', '--help']);
  for (const each of npm?.packageArguments ?? []) if (each.type === 'named') expect(stdout).toContain(each.name);
  const secrets = npm?.environmentVariables.filter((each) => each.isSecret === true).map(({ name }) => name);
  expect(secrets).toEqual(['DOKPLOY_API_KEY']);
  // A variable of ours that the product does not know would stop it at the start.
  for (const { name } of npm?.environmentVariables ?? [])
    if (name.startsWith('CAPSTAN_'))
      expect((await capstan(place.home, ['status'], { [name]: name === 'CAPSTAN_HOME' ? place.home : 'info' })).exit).toBe(0);
});

test('name and version are set in package.json alone and carried into server.json', () => {
  expect(read('server.json')).toBe(serverJsonOf(read('server.json'), pkg));
  const other = serverFile.parse(
    JSON.parse(serverJsonOf(read('server.json'), { name: 'x', version: '9.8.7', mcpName: 'io.github.ann/x' })),
  );
  expect(other).toMatchObject({ name: 'io.github.ann/x', version: '9.8.7', packages: [{ identifier: 'x', version: '9.8.7' }] });
});

test('nothing is published while the owner is the placeholder, or another one than the repository has', () => {
  const of = (mcpName: string, repositoryOwner?: string, version = pkg.version) =>
    faultsOf({ pkg: { ...pkg, mcpName }, server: { name: mcpName, version }, ...(repositoryOwner ? { repositoryOwner } : {}) });
  expect(of(`io.github.${placeholder}/capstan-mcp`).join()).toContain('npm pkg set mcpName');
  expect(of('io.github.ann/capstan-mcp')).toEqual([]);
  expect(of('io.github.Ann/capstan-mcp', 'ann')).toEqual([]);
  expect(of('io.github.ann/capstan-mcp', 'bob')).toHaveLength(1);
  for (const name of ['capstan-mcp', 'io.github./x', 'io.github.ann/', 'io.github.ann/x/y', 'io.github.-ann/x'])
    expect(of(name)).not.toEqual([]);
  expect(of('io.github.ann/capstan-mcp', 'ann', '0.0.9')).toHaveLength(1);
  const { status, stderr } = spawnSync(process.execPath, [packageFile('scripts', 'publishable.mjs')], { encoding: 'utf8' });
  const isPlaceholder = pkg.mcpName.includes(placeholder);
  expect([status, stderr !== '']).toEqual(isPlaceholder ? [1, true] : [0, false]);
  expect(read('.github', 'workflows', 'release.yml')).toMatch(/publishable\.mjs[\s\S]*npm publish/);
  expect(JSON.parse(read('package.json')).scripts.prepublishOnly).toContain('publishable.mjs');
});

test('npx finds a program of the same name as the package, and what it needs is in the package', () => {
  expect(pkg.bin[pkg.name]).toBe('dist/src/main.js');
  expect(pkg.bin['capstan']).toBe('dist/src/main.js');
  for (const path of pkg.files.filter((each) => each !== 'dist')) expect(existsSync(packageFile(path)), path).toBe(true);
});

// The bundle's manifest, version 0.2, as far as it is used here.
const manifestShape = z.strictObject({
  manifest_version: z.literal('0.2'),
  name: z.string().regex(/^[a-z0-9-]+$/),
  display_name: z.string(),
  version: exactVersion,
  description: z.string().max(500),
  long_description: z.string(),
  author: z.strictObject({ name: z.string() }),
  server: z.strictObject({
    type: z.literal('node'),
    entry_point: z.string(),
    mcp_config: z.strictObject({ command: z.string(), args: z.array(z.string()), env: z.record(z.string(), z.string()) }),
  }),
  tools: z.array(z.strictObject({ name: z.string(), description: z.string() })),
  keywords: z.array(z.string()).max(10),
  license: z.string(),
  compatibility: z.strictObject({
    platforms: z.array(z.enum(['darwin', 'win32', 'linux'])),
    runtimes: z.strictObject({ node: z.string() }),
  }),
  user_config: z.record(
    z.string(),
    z.strictObject({
      type: z.enum(['string', 'number', 'boolean', 'directory', 'file']),
      title: z.string(),
      description: z.string(),
      required: z.boolean(),
      sensitive: z.boolean().optional(),
    }),
  ),
});

test('the manifest of the bundle asks for the key as a secret, and what it starts registers the Dokploy of the form', async () => {
  const manifest = manifestShape.parse(
    manifestOf(
      pkg,
      'linux',
      toolsOf().map(({ definition }) => definition),
    ),
  );
  const { mcp_config: config, entry_point: entry } = manifest.server;
  expect(entry).toBe(pkg.bin['capstan']);
  const slots = JSON.stringify(config).match(/\$\{[^}]+\}/g) ?? [];
  expect(new Set(slots)).toEqual(
    new Set([slot('__dirname'), ...Object.keys(manifest.user_config).map((name) => slot(`user_config.${name}`))]),
  );
  expect(manifest.user_config['dokploy_api_key']).toMatchObject({ sensitive: true });
  expect(config.args.join(' ')).not.toContain('dokploy_api_key'); // in the environment, never among the arguments
  const args = config.args.slice(1).map((each) => each.replace(slot('user_config.dokploy_url'), 'http://192.0.2.7:3000'));
  const client = await connect('legacy', {
    home: place.home,
    program: [mainFile, ...args],
    env: { DOKPLOY_API_KEY: 'key-canary-of-the-form' },
  });
  const { structuredContent } = await client.raw('list_targets', {});
  expect(structuredContent).toMatchObject({ dokploys: [{ name: 'main', url: 'http://192.0.2.7:3000' }] });
  await client.close();
  // The owner's own stays, whatever the form says later.
  const again = await connect('modern', {
    home: place.home,
    program: [mainFile, 'serve', '--dokploy', 'https://other.example.com', '--dokploy-key', 'env:K'],
    env: { K: 'another-key-0123' },
  });
  expect((await again.raw('list_targets', {})).structuredContent).toMatchObject({
    dokploys: [{ name: 'main', url: 'http://192.0.2.7:3000' }],
  });
  await again.close();
  expect(await capstan(place.home, ['serve', '--dokploy', 'https://x.example.com'])).toMatchObject({ exit: 2 });
  expect((await capstan(place.home, ['serve', '--dokploy', 'https://x.example.com', '--dokploy-key', 'the-key-itself'])).stderr).toContain(
    'SECRET_IN_ARGUMENT',
  );
});

const dockerfile = read('docker', 'Dockerfile');
const compose = z
  .looseObject({
    services: z.looseObject({
      capstan: z.looseObject({
        build: z.object({ context: z.string(), dockerfile: z.string() }),
        command: z.array(z.string()),
        user: z.literal('node'),
        read_only: z.literal(true),
        cap_drop: z.tuple([z.literal('ALL')]),
        security_opt: z.tuple([z.literal('no-new-privileges:true')]),
        tmpfs: z.array(z.string()),
        volumes: z.array(z.string()),
      }),
    }),
    volumes: z.record(z.string(), z.unknown()),
  })
  .parse(parse(read('docker', 'compose.yaml')));

test('the image copies what is there, runs as another user than root, and its home is a volume', () => {
  for (const [, from = ''] of dockerfile.matchAll(/^COPY (?!--from)((?:\S+ )+)\S+$/gm))
    for (const path of from.trim().split(' ')) expect(existsSync(packageFile(path)), path).toBe(true);
  expect(dockerfile).toMatch(/^USER node$/m);
  const { capstan: service } = compose.services;
  expect(service.build).toEqual({ context: '..', dockerfile: 'docker/Dockerfile' });
  const [volume = '', path] = (service.volumes[0] ?? '').split(':');
  expect(Object.keys(compose.volumes)).toEqual([volume]);
  expect(dockerfile).toContain(`CAPSTAN_HOME=${path}`);
});

test.each(['Dockerfile', 'worker.Dockerfile'])('%s brings the clients of every Postgres that a target may run', (name) => {
  const majors = [...read('docker', name).matchAll(/ postgresql-client-(\d+)/g)].map(([, major]) => Number(major));
  expect(majors).toEqual([15, 16, 17, 18]);
});

test('the command of compose serves, and the health check of the image sees it', async () => {
  const env = { CAPSTAN_HOME: place.home, CAPSTAN_LOG: 'silent' };
  const command = compose.services.capstan.command.map((word) => word.replace(/^\$\{NAME:.*\}$/, 'capstan.example.com'));
  const early = await capstan(place.home, [...command, '--port', '0']);
  expect(early.stderr).toContain('TOKEN_NEEDED');
  expect((await capstan(place.home, ['token', 'add', 'claude', '--role', 'operator'])).exit).toBe(0);
  const server = await startHttpServer([mainFile, ...command, '--port', '0'], env);
  try {
    const port = new URL(server.url).port;
    const [, script = ''] = /^HEALTHCHECK .* CMD \["node", "-e", "(.*)"\]$/m.exec(dockerfile) ?? [];
    const check = (at: string) => spawnSync(process.execPath, ['-e', script.replace('8484', at)]).status;
    expect(check(port)).toBe(0);
    expect(check('1')).toBe(1);
    expect(dockerfile).toContain('EXPOSE 8484');
    expect((await capstan(place.home, ['serve', '--help'])).stdout).toContain('Default 8484');
  } finally {
    await server.stop();
  }
});
