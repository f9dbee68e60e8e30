// Figures of this machine, each beside its reference measured in the same run where there is one; prints JSON.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = new URL('../', import.meta.url);
const main = new URL('dist/src/main.js', root).pathname;
const home = mkdtempSync(join(tmpdir(), 'capstan-bench-'));

/** Milliseconds from spawn to the first answer, the size of tools/list, and the resident memory while idle. */
async function measureServer() {
  const began = performance.now();
  const child = spawn(process.execPath, [main, 'serve'], {
    env: { CAPSTAN_HOME: home, CAPSTAN_LOG: 'silent' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (message) => {
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
    return message.id === undefined ? undefined : JSON.parse((await lines.next()).value);
  };
  const clientInfo = { name: 'bench', version: '1' };
  await ask({ id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo } });
  const firstAnswerMs = performance.now() - began;
  await ask({ method: 'notifications/initialized' });
  const asked = performance.now();
  const list = await ask({ id: 2, method: 'tools/list' });
  const toolsListMs = performance.now() - asked;
  await new Promise((resolve) => setTimeout(resolve, 500));
  const idleMb = memoryOf(child.pid);
  await ask({ id: 3, method: 'tools/call', params: { name: 'list_runs', arguments: {} } });
  const openMb = memoryOf(child.pid);
  child.stdin.end();
  await new Promise((resolve) => child.once('exit', resolve));
  return { firstAnswerMs, toolsListMs, toolsListTokens: Math.round(JSON.stringify(list.result).length / 4), idleMb, storeOpenMb: openMb };
}

function memoryOf(pid) {
  if (process.platform !== 'linux') return null;
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/);
  return line ? Math.round(Number(line[1]) / 1024) : null;
}

function bareNodeMs() {
  const began = performance.now();
  execFileSync(process.execPath, ['-e', '']);
  return performance.now() - began;
}

const servers = [];
for (let i = 0; i < 5; i++) servers.push(await measureServer());
const median = (key) => servers.map((server) => server[key]).sort((a, b) => a - b)[2];
const engine = JSON.parse(
  execFileSync(process.execPath, [new URL('dist-test/test/helpers/bench-steps.js', root).pathname], { encoding: 'utf8' }),
);
const round = (value) => (typeof value === 'number' ? Math.round(value * 10) / 10 : value);
const figures = {
  node: process.version,
  server: Object.fromEntries(Object.keys(servers[0]).map((key) => [key, round(median(key))])),
  reference: { bareNodeStartMs: round(bareNodeMs()) },
  engine: Object.fromEntries(Object.entries(engine).map(([key, value]) => [key, round(value)])),
};
console.log(JSON.stringify(figures, null, 2));
rmSync(home, { recursive: true, force: true });
