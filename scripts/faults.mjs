/** The fault matrix of every registered workflow and of the relay, on all cores; ends with `N cases, D differences`. */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { contracts } from '../dist-test/machines/effects/registry.js';
import { workflows } from '../dist-test/machines/registry.js';
import { faultMatrix, mergeReports } from '../dist-test/src/testing/matrix.js';
import { tableOf } from '../dist-test/src/testing/table.js';
import { relay, relayContracts } from '../dist-test/test/helpers/relay.js';

const all = [{ workflow: relay, contracts: relayContracts }, ...Object.values(workflows).map((workflow) => ({ workflow, contracts }))];

if (process.send) {
  const [part, of] = process.argv.slice(2).map(Number);
  const reports = [];
  for (const one of all) reports.push(await faultMatrix({ ...one, share: { part, of } }));
  process.send(reports, () => process.exit(0));
} else {
  const of = Math.min(4, availableParallelism());
  const parts = await Promise.all(Array.from({ length: of }, (_, index) => share(index + 1, of)));
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

/** One share in a process of its own; its reports come back as plain data. */
function share(part, of) {
  return new Promise((resolve, reject) => {
    // Thousands of short runs make much short-lived garbage: a larger young generation leaves fewer collections.
    const child = fork(new URL(import.meta.url), [String(part), String(of)], { execArgv: ['--max-semi-space-size=64'] });
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`the share ${part} of ${of} ended with ${code}`)));
  });
}
