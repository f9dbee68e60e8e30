// Records a real run of the wizard on the sandbox as test/definitions/recordings/<workflow>@<hash>.json (engine.md V).
// Do it once per released definition; the files of earlier ones stay, and are replayed as long as their runs may exist.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../dist-test/test/helpers/record-wizard.js', import.meta.url));
const text = execFileSync(process.execPath, [program], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
const { workflow, hash, events } = JSON.parse(text);
const name = `${workflow}@${hash.slice(0, 12)}.json`;
writeFileSync(new URL(`../test/definitions/recordings/${name}`, import.meta.url), text);
console.log(`${name}: ${events.length} events`);
