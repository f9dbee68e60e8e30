// Every name in an `optionalDependencies` of the lock file needs an entry of its own, or `npm ci` fails elsewhere;
// and the lock file names no download address.
import { readFileSync } from 'node:fs';

const text = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');
const { packages } = JSON.parse(text);
const names = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)));
const missing = Object.entries(packages).flatMap(([path, entry]) =>
  Object.keys(entry.optionalDependencies ?? {})
    .filter((name) => !names.has(name))
    .map((name) => `${path || 'package.json'} -> ${name}`),
);
const addresses = text.match(/"resolved": "https?:[^"]*"/g) ?? [];
for (const line of missing) console.error(`missing from the lock file: ${line}`);
if (addresses.length > 0) console.error(`the lock file holds ${addresses.length} download addresses`);
process.exit(missing.length + addresses.length > 0 ? 1 : 0);
