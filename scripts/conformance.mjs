// The official conformance suite against our HTTP server, both frozen sets, and the MCP Inspector over stdio and HTTP.
// Both need a newer Node than Capstan does. They and that Node live in test/conformance with a lock file of their own:
// as dev dependencies they would put another `node` first on the PATH of npm scripts, and better-sqlite3 would not load there.
// Their output is ours: what failed is printed, the whole result lies in test/conformance/results.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'test', 'conformance');
const modules = join(folder, 'node_modules');
const results = join(folder, 'results');
const sets = ['2025-11-25', '2026-07-28'];
const wanted = [22, 19];

let failures = 0;
const failed = (what, why) => {
  failures += 1;
  console.error(`FAILED: ${what}\n${why}`);
};

install();
rmSync(results, { recursive: true, force: true });
const place = mkdtempSync(join(tmpdir(), 'capstan-conformance-'));
try {
  await conformance(join(place, 'suite'));
  await inspect(join(place, 'inspector'));
} finally {
  rmSync(place, { recursive: true, force: true });
}
process.exit(failures === 0 ? 0 : 1);

/** `npm ci` once per lock file. */
function install() {
  const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');
  const stamp = join(modules, '.installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  const command = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const done = spawnSync(command, ['ci', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (done.status !== 0) throw new Error('npm ci in test/conformance failed: it says above why');
  writeFileSync(stamp, lock);
}

/** Our own Node where it is new enough, else the one of the package `node`. */
function newerNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > wanted[0] || (major === wanted[0] && minor >= wanted[1])) return process.execPath;
  return join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

function run(script, args) {
  return spawnSync(newerNode(), [join(modules, '@modelcontextprotocol', script), ...args], {
    encoding: 'utf8',
    timeout: 180_000,
    maxBuffer: 64 * 1024 * 1024,
  });
}

async function conformance(home) {
  const server = await startServer([join(root, 'dist-test', 'test', 'helpers', 'conformance-server.js'), home]);
  for (const set of sets) {
    const args = ['server', '--url', server.url, '--requirements', set];
    // The file of expected failures does not exist while there are none; an entry in it that passes fails the run too.
    const expected = join(folder, `expected-failures-${set}.yml`);
    const done = run('conformance/dist/index.js', [
      ...args,
      ...(existsSync(expected) ? ['--expected-failures', expected] : []),
      '-o',
      join(results, set),
    ]);
    const summary = done.stdout.slice(done.stdout.indexOf('=== SUMMARY ==='));
    const scored = summary.slice(0, summary.indexOf('Not scored'));
    const passed = required(set).filter((scenario) => new RegExp(`^✓ ${scenario}: [1-9]\\d* passed, 0 failed`, 'm').test(scored));
    const missing = required(set).filter((scenario) => !passed.includes(scenario));
    console.log(`${set}: ${passed.length} of ${required(set).length} required scenarios passed`);
    if (done.status !== 0 || (missing.length > 0 && !existsSync(expected)))
      failed(`requirements ${set}: ${missing.join(', ')}`, `${scored}${done.stderr}`);
  }
  await server.stop();
}

/** The frozen list of the suite itself, so that a scenario that did not run cannot pass. */
function required(set) {
  const text = readFileSync(join(modules, '@modelcontextprotocol', 'conformance', 'requirements', `${set}.yaml`), 'utf8');
  const [, list = ''] = /^server:\n((?: {2}- .*\n)+)/m.exec(text) ?? [];
  return [...list.matchAll(/- (\S+)/g)].map((match) => match[1]);
}

async function inspect(home) {
  const main = join(root, 'dist-test', 'src', 'main.js');
  const server = await startServer([main, 'serve', '--http', '--port', '0', '--toolsets', 'all'], { CAPSTAN_HOME: home });
  const doors = {
    stdio: ['-e', `CAPSTAN_HOME=${home}`, process.execPath, main],
    http: [server.url, '--transport', 'http'],
  };
  for (const [door, target] of Object.entries(doors)) {
    for (const era of ['legacy', 'modern']) {
      const call = (...args) =>
        run('inspector/clients/launcher/build/index.js', ['--cli', '--protocol-era', era, '--format', 'json', ...args, ...target]);
      const listed = call('--method', 'tools/list', '--strict');
      const tools = parsed(listed.stdout)?.result?.tools ?? [];
      if (listed.status !== 0 || tools.length < 9 || listed.stderr.trim() !== '')
        failed(`Inspector, tools/list --strict over ${door}, ${era}`, `${listed.status} ${tools.length} tools\n${listed.stderr}`);
      const called = call('--method', 'tools/call', '--tool-name', 'list_workflows');
      const workflows = parsed(called.stdout)?.result?.structuredContent?.workflows ?? [];
      if (called.status !== 0 || workflows.length === 0 || called.stderr.trim() !== '')
        failed(`Inspector, tools/call over ${door}, ${era}`, `${called.status}\n${called.stdout.slice(0, 500)}\n${called.stderr}`);
      console.log(`Inspector over ${door}, ${era}: ${tools.length} tools listed, ${workflows.length} workflows answered`);
    }
  }
  await server.stop();
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Resolves when the server has said its address. */
function startServer(args, env = {}) {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const stop = () => {
    child.kill('SIGTERM');
    return exited;
  };
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
      const [url] = /http:\S+(?=\s)/.exec(said) ?? [];
      if (url) resolve({ url, stop });
    });
    exited.then((code) => reject(new Error(`the server ended with ${code}`)));
  });
}
