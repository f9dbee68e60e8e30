// What a client waits for: start, list, calls alone and together over both doors, memory, and a cold install.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const main = join(root, 'dist', 'src', 'main.js');
const round = (value) => Math.round(value * 10) / 10;
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const spread = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return { p50Ms: round(at(sorted, 0.5)), p99Ms: round(at(sorted, 0.99)) };
};
const timed = async (act) => {
  const began = performance.now();
  await act();
  return performance.now() - began;
};
const inTurn = async (count, act) => {
  const times = [];
  for (let n = 0; n < count; n++) times.push(await timed(act));
  return times;
};

const hello = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
const listRuns = { name: 'list_runs', arguments: {} };

/** Raw lines, so that no client library is measured. */
function overStdio(home) {
  const child = spawn(process.execPath, [main, 'serve', '--rate', '1000000'], {
    env: { CAPSTAN_HOME: home, CAPSTAN_LOG: 'silent' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const waiting = new Map();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line);
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  });
  let id = 0;
  return {
    pid: child.pid,
    ask(method, params = {}) {
      id += 1;
      const answered = new Promise((resolve) => waiting.set(id, resolve));
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
      return answered;
    },
    async close() {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      await exited;
    },
  };
}

async function overHttp(home) {
  const child = spawn(process.execPath, [main, 'serve', '--http', '--port', '0', '--rate', '1000000'], {
    env: { CAPSTAN_HOME: home, CAPSTAN_LOG: 'silent' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = await new Promise((resolve) => createInterface({ input: child.stdout }).once('line', (text) => resolve([text])));
  const [url] = /http:\S+/.exec(line) ?? [''];
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  return {
    pid: child.pid,
    async ask(method, params = {}) {
      const answer = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': method,
          ...(params.name === undefined ? {} : { 'mcp-name': params.name }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }),
      });
      return answer.json();
    },
    async close() {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function memoryOf(pid) {
  if (process.platform !== 'linux') return null;
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/);
  return line ? round(Number(line[1]) / 1024) : null;
}

async function start(withHome) {
  const times = [];
  for (let n = 0; n < 5; n++)
    await withHome(async (home) => {
      const began = performance.now();
      const server = overStdio(home);
      await server.ask('initialize', hello);
      times.push(performance.now() - began);
      await server.close();
    });
  return round(
    at(
      times.sort((a, b) => a - b),
      0.5,
    ),
  );
}

/** 200 calls at once on a server that answers right: one wrong answer ends the bench. */
async function door(server) {
  const call = async () => {
    const { result } = await server.ask('tools/call', listRuns);
    if (!Array.isArray(result?.structuredContent?.runs)) throw new Error(`list_runs answered ${JSON.stringify(result)}`);
  };
  const list = await server.ask('tools/list');
  const listedMb = memoryOf(server.pid);
  await call(); // opens the house, as the server does by itself a second after its first answer
  const idleMb = memoryOf(server.pid);
  await inTurn(50, call);
  const alone = spread(await inTurn(500, call));
  const lists = spread(await inTurn(200, () => server.ask('tools/list')));
  const together = [];
  const togetherMs = await timed(() => Promise.all(Array.from({ length: 200 }, async () => together.push(await timed(call)))));
  return {
    tools: list.result.tools.length,
    toolsListTokens: Math.ceil(Buffer.byteLength(JSON.stringify({ tools: list.result.tools })) / 4),
    toolsList: lists,
    call: alone,
    concurrent200: { ...spread(together), allMs: round(togetherMs) },
    listedMb,
    idleMb,
    underLoadMb: memoryOf(server.pid),
  };
}

/**
 * The package as it would be published, into an empty folder, as `npx` does it; npm's own cache is as it is. The native module is told
 * apart: where its prebuilt binary cannot be fetched it is compiled, which most machines never do.
 */
function coldInstall() {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-install-'));
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  try {
    const packed = execFileSync(npm, ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: root, encoding: 'utf8' });
    const [{ filename, size }] = JSON.parse(packed);
    const into = join(folder, 'app');
    mkdirSync(into);
    writeFileSync(join(into, 'package.json'), '{"private":true}');
    const began = performance.now();
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', join(folder, filename)];
    execFileSync(npm, install, { cwd: into, stdio: 'ignore' });
    const seconds = round((performance.now() - began) / 1_000);
    const built = performance.now();
    execFileSync(npm, ['rebuild', 'better-sqlite3', '--loglevel=error'], { cwd: into, stdio: 'ignore' });
    const nativeSeconds = round((performance.now() - built) / 1_000);
    // Only node-gyp leaves a Makefile (or its like) beside what it made.
    const compiled = ['Makefile', 'binding.sln'].some((name) => existsSync(join(into, 'node_modules', 'better-sqlite3', 'build', name)));
    const version = execFileSync(process.execPath, [join(into, 'node_modules', 'capstan-mcp', 'dist', 'src', 'main.js'), '--version'], {
      encoding: 'utf8',
    });
    const { packages } = JSON.parse(readFileSync(join(into, 'node_modules', '.package-lock.json'), 'utf8'));
    const bytes = sizeOf(join(into, 'node_modules'));
    return {
      version: version.trim(),
      packages: Object.keys(packages).length,
      mb: round(bytes / 1_048_576),
      seconds,
      nativeModule: { how: compiled ? 'compiled here' : 'prebuilt, fetched', seconds: nativeSeconds },
      packedMb: round(size / 1_048_576),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sizeOf(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  return bytes;
}

export async function mcpFigures(withHome) {
  const firstAnswerMs = await start(withHome);
  const stdio = await withHome(async (home) => {
    const server = overStdio(home);
    await server.ask('initialize', hello);
    const figures = await door(server);
    await server.close();
    return figures;
  });
  const http = await withHome(async (home) => {
    const server = await overHttp(home);
    const figures = await door(server);
    await server.close();
    return figures;
  });
  return {
    firstAnswerMs,
    stdio,
    http,
    coldInstall: coldInstall(),
    goals: { firstAnswerMs: 350, idleMb: 100, underLoadMb: 200, toolsListTokens: 3_000, toolsListP50Ms: 2, coldInstallSeconds: 30 },
    reference: { supabaseFirstAnswerMs: 512, dokployFirstAnswerMs: 577, note: 'official servers, measured earlier on another day' },
  };
}
