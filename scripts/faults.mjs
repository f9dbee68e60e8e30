/**
 * The fault matrix of every registered workflow and of the relay, on all cores; ends with `N cases, D differences`.
 * Names after `--` leave only those workflows.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { contracts } from '../dist-test/machines/effects/registry.js';
import { workflows } from '../dist-test/machines/registry.js';
import { faultMatrix, matrixPaths, mergeReports } from '../dist-test/src/testing/matrix.js';
import { tableOf } from '../dist-test/src/testing/table.js';
import { relay, relayContracts } from '../dist-test/test/helpers/relay.js';

const every = [{ workflow: relay, contracts: relayContracts }, ...Object.values(workflows).map((workflow) => ({ workflow, contracts }))];
const names = process.argv.slice(process.send ? 4 : 2);
const all = names.length === 0 ? every : every.filter(({ workflow }) => names.includes(workflow.name));
const unknown = names.filter((name) => !all.some(({ workflow }) => workflow.name === name));
if (unknown.length > 0) throw new Error(`no workflow is called ${unknown.join(', ')}`);

await (process.send ? playShare() : playAll());

/** A share in a process of its own: searches the paths of some workflows, hears those of all, plays its part of every one. */
async function playShare() {
  const [part, of] = process.argv.slice(2, 4).map(Number);
  process.send(all.map((one, index) => (index % of === part - 1 ? matrixPaths(one) : null)));
  const [paths] = await once(process, 'message');
  const reports = [];
  for (const [index, one] of all.entries()) reports.push(await faultMatrix({ ...one, paths: paths[index], share: { part, of } }));
  process.send(reports, () => process.exit(0));
}

async function playAll() {
  const of = Math.min(4, availableParallelism());
  // Thousands of short runs make much short-lived garbage: a larger young generation leaves fewer collections.
  const shares = Array.from({ length: of }, (_, index) =>
    fork(new URL(import.meta.url), [String(index + 1), String(of), ...names], { execArgv: ['--max-semi-space-size=128'] }),
  );
  const searched = await Promise.all(shares.map(answerOf));
  const paths = all.map((_, index) => searched[index % of][index]);
  const played = shares.map(answerOf);
  for (const share of shares) share.send(paths);
  const parts = await Promise.all(played);
  const reports = all.map((_, index) => mergeReports(parts.map((part) => part[index])));
  for (const report of reports) console.log(`${tableOf(report)}\n`);
  const count = (what) => reports.reduce((sum, report) => sum + what(report), 0);
  const [cases, differences, empty] = [
    count((report) => report.cases),
    count((report) => report.differences.length),
    count((report) => report.empty.length),
  ];
  if (empty > 0) console.log(`${empty} cells are empty`);
  console.log(`${cases} cases, ${differences} differences`);
  process.exitCode = differences + empty > 0 ? 1 : 0;
}

/** The next message of a share. Rejects when it ends without one. */
function answerOf(share) {
  return new Promise((resolve, reject) => {
    share.once('message', resolve);
    share.once('exit', (code) => reject(new Error(`a share of the matrix ended with ${code}`)));
  });
}
