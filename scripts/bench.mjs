// Figures of this machine as JSON, each beside its goal or a reference from the same run: `npm run bench [-- server|mcp|engine|sql]`.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { mcpFigures } from './bench-mcp.mjs';

const root = new URL('../', import.meta.url);
const main = fileURLToPath(new URL('dist/src/main.js', root));
const engine = fileURLToPath(new URL('dist-test/test/helpers/bench-engine.js', root));
const round = (value) => (typeof value === 'number' ? Math.round(value * 10) / 10 : value);
const rounded = (figures) => Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, round(value)]));
const withHome = async (body) => {
  const home = mkdtempSync(join(tmpdir(), 'capstan-bench-'));
  try {
    return await body(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
};
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Milliseconds from spawn to the first answer, the size of tools/list, and the resident memory. */
async function measureServer(home) {
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
  await ask({ id: 2, method: 'tools/list' });
  const asked = performance.now();
  const list = await ask({ id: 3, method: 'tools/list' });
  const toolsListMs = performance.now() - asked;
  const idleMb = memoryOf(child.pid);
  await ask({ id: 4, method: 'tools/call', params: { name: 'list_runs', arguments: {} } });
  const storeOpenMb = memoryOf(child.pid);
  child.stdin.end();
  await new Promise((resolve) => child.once('exit', resolve));
  return { firstAnswerMs, toolsListMs, toolsListTokens: JSON.stringify(list.result).length / 4, idleMb, storeOpenMb };
}

function memoryOf(pid) {
  if (process.platform !== 'linux') return null;
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/);
  return line ? Number(line[1]) / 1024 : null;
}

async function server() {
  const rows = [];
  for (let i = 0; i < 5; i++) rows.push(await withHome(measureServer));
  const began = performance.now();
  execFileSync(process.execPath, ['-e', '']);
  const figures = Object.fromEntries(Object.keys(rows[0]).map((key) => [key, median(rows.map((row) => row[key]))]));
  return {
    ...rounded(figures),
    goals: { firstAnswerMs: 350, idleMb: 100, toolsListTokens: 3_000, toolsListMs: 2 },
    reference: { bareNodeStartMs: round(performance.now() - began) },
  };
}

const bench = (...args) => JSON.parse(execFileSync(process.execPath, [engine, ...args.map(String)], { encoding: 'utf8' }));

/** 1,600 runs of ten steps, shared by the processes, 50 at a time in each. */
async function stepsPerSecond(processes) {
  return withHome(async (home) => {
    const runs = 1_600 / processes;
    const children = Array.from({ length: processes }, () =>
      spawn(process.execPath, [engine, 'many', home, String(runs)], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once('data', resolve))));
    const began = performance.now();
    const ended = Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    for (const child of children) child.stdin.write('go\n');
    await ended;
    return Math.round((1_600 * 10) / ((performance.now() - began) / 1_000));
  });
}

/** 1,000 runs with half of their steps done when their process is killed; from the start of the next process to the last run done. */
async function recovery() {
  return withHome(async (home) => {
    const child = spawn(process.execPath, [engine, 'half', home, '1000'], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const began = performance.now();
    bench('recover', home);
    return round(performance.now() - began);
  });
}

/** Share of one core that eight idle processes use together, start-up taken off. */
async function idleCpu() {
  return withHome(async (home) => {
    const run = (ms) =>
      Promise.all(
        Array.from(
          { length: 8 },
          () =>
            new Promise((resolve) => {
              const child = spawn(process.execPath, [engine, 'idle', home, String(ms)], { stdio: ['ignore', 'pipe', 'inherit'] });
              child.stdout.once('data', (line) => resolve(JSON.parse(line)));
            }),
        ),
      );
    const sum = (rows) => rows.reduce((total, row) => total + row.cpuMs, 0);
    const [short, long] = [await run(1_000), await run(11_000)];
    // Start-up costs more than idling and varies: below its noise the figure is 0.
    return round(Math.max(0, (100 * (sum(long) - sum(short))) / 10_000));
  });
}

async function engineFigures() {
  const single = await withHome((home) => bench('run', home));
  const perProcesses = {};
  for (const processes of [1, 2, 4, 8]) perProcesses[processes] = await stepsPerSecond(processes);
  const stored = [];
  for (const count of [10, 1_000, 100_000]) stored.push(rounded(await withHome((home) => bench('scale', home, count))));
  return {
    tenStepRun: rounded(single),
    stepsPerSecondAt50Concurrent: perProcesses,
    recoveryOf1000RunsMs: await recovery(),
    stored,
    idleCpuPercentOfOneCoreWith8Processes: await idleCpu(),
    goals: { p50Ms: 10, stepsPerSecond: { 1: 1_500, 8: 1_200 }, recoveryMs: 2_000, inspectP99Ms: 10 },
  };
}

/** Schema, types, statements and spilled rows through an MCP client; its databases are servers of its own. */
function sql() {
  const script = fileURLToPath(new URL('dist-test/test/helpers/bench-sql.js', root));
  const figures = JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 }));
  const goals = { inspectSchemaMs1000Tables: 1_000, generateTypesMs: 3_000, executeSqlMs: 100, overheadOverPgMs: 5, spillHighestMb: 200 };
  return { ...figures, goals };
}

/** `npm run bench -- backup 100 2000` names the sizes in MB. */
async function backup() {
  const { backup: measure } = await import('./bench-backup.mjs');
  const sizes = process.argv.slice(3).map(Number);
  return measure(sizes.length > 0 ? sizes : undefined);
}

const groups = { server, mcp: () => mcpFigures(withHome), engine: engineFigures, sql, backup };
const wanted = process.argv[2];
if (wanted !== undefined && !(wanted in groups)) {
  console.error(`unknown: ${wanted}; choose one of ${Object.keys(groups).join(', ')}`);
  process.exit(2);
}
const figures = { node: process.version };
for (const [name, measure] of Object.entries(groups)) if (wanted === undefined || wanted === name) figures[name] = await measure();
console.log(JSON.stringify(figures, null, 2));
