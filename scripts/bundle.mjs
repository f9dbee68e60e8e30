// The .mcpb bundle of this platform (native modules are inside): made from the built product and its production packages, then unpacked
// again and started by a real MCP client as its manifest says. `npm run bundle [-- FILE]`; default data/capstan-PLATFORM-ARCH.mcpb.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync, zipSync } from 'fflate';
import { manifestOf, slot } from './manifest.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const pkg = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const out = resolve(process.argv[2] ?? join(root, 'data', `capstan-${process.platform}-${process.arch}.mcpb`));
const executable = { os: 3, attrs: 0o755 << 16 };

/** Not read at run time: sources of native modules, maps, types, what a package tests itself with. */
const left = [/\.map$/, /\.d\.[cm]?ts$/, /^node_modules\/better-sqlite3\/(deps|src)\//, /\/(test|tests|__tests__)\//, /\.md$/i];
const kept = (name) => /(^|\/)licen[cs]e[^/]*$/i.test(name) || !left.some((pattern) => pattern.test(name));

function filesUnder(path, skipPackages) {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (skipPackages && entry.name === 'node_modules') return [];
    const inner = join(path, entry.name);
    return entry.isDirectory() ? filesUnder(inner, skipPackages) : entry.isFile() ? [inner] : [];
  });
}

/** Folders of the packages that the product needs to run, as npm sees them. */
function productionPackages() {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const text = execFileSync(npm, ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64e6,
    shell: process.platform === 'win32',
  });
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith(join(root, 'node_modules')));
}

async function build() {
  const { toolsOf } = await import(new URL('../dist/src/mcp/toolset.js', import.meta.url));
  const manifest = manifestOf(
    pkg,
    process.platform,
    toolsOf().map(({ definition }) => definition),
  );
  const own = ['package.json', ...pkg.files].map((name) => join(root, name)).flatMap((path) => filesUnder(path, false));
  const packages = productionPackages().flatMap((path) => filesUnder(path, true));
  const files = {};
  for (const path of [...own, ...packages]) {
    const name = relative(root, path).split(sep).join('/');
    if (kept(name)) files[name] = [readFileSync(path), name.endsWith('.node') ? executable : {}];
  }
  files['manifest.json'] = [Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`), {}];
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, zipSync(files, { level: 6 }));
  return Object.keys(files).length;
}

/** Unpacks what was written and starts it as its manifest says. */
async function prove() {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-bundle-'));
  try {
    for (const [name, bytes] of Object.entries(unzipSync(readFileSync(out)))) {
      const path = join(folder, 'unpacked', name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
    const { server } = JSON.parse(readFileSync(join(folder, 'unpacked', 'manifest.json'), 'utf8'));
    const filled = (text) =>
      text
        .replaceAll(slot('__dirname'), join(folder, 'unpacked'))
        .replaceAll(slot('user_config.dokploy_url'), 'https://dokploy.example.com')
        .replaceAll(slot('user_config.dokploy_api_key'), 'key-of-the-proof-0123456789');
    const { Client } = await import('@modelcontextprotocol/client');
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const client = new Client({ name: 'bundle', version: '1' });
    const env = Object.fromEntries(Object.entries(server.mcp_config.env).map(([name, value]) => [name, filled(value)]));
    const command = server.mcp_config.command === 'node' ? process.execPath : server.mcp_config.command;
    await client.connect(
      new StdioClientTransport({
        command,
        args: server.mcp_config.args.map(filled),
        env: { ...env, CAPSTAN_HOME: join(folder, 'home'), CAPSTAN_LOG: 'silent' },
      }),
    );
    const { tools } = await client.listTools();
    const { structuredContent } = await client.callTool({ name: 'list_targets', arguments: {} });
    await client.close();
    if (structuredContent?.dokploys?.[0]?.name !== 'main')
      throw new Error(`the Dokploy of the form was not registered: ${JSON.stringify(structuredContent)}`);
    return tools.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const count = await build();
const tools = await prove();
console.log(JSON.stringify({ file: relative(root, out), megabytes: Math.round(statSync(out).size / 1e5) / 10, files: count, tools }));
process.exit(0);
