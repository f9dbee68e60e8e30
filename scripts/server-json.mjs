// Carries name and version from package.json, where alone they are set, into the registry's server.json. Part of `npm run docs`.
import { readFileSync, writeFileSync } from 'node:fs';

const at = (name) => new URL(`../${name}`, import.meta.url);

/** The text of server.json with the name and version of a package.json. */
export function serverJsonOf(text, { name, version, mcpName }) {
  const server = JSON.parse(text);
  const packages = server.packages.map((each) => ({ ...each, identifier: name, version }));
  // Only what package.json says is exchanged, so that the file keeps its lines.
  return text
    .replace(`"name": ${JSON.stringify(server.name)}`, `"name": ${JSON.stringify(mcpName)}`)
    .replaceAll(`"version": ${JSON.stringify(server.version)}`, `"version": ${JSON.stringify(version)}`)
    .replaceAll(
      `"identifier": ${JSON.stringify(server.packages[0].identifier)}`,
      `"identifier": ${JSON.stringify(packages[0].identifier)}`,
    );
}

if (process.argv[1]?.endsWith('server-json.mjs')) {
  const pkg = JSON.parse(readFileSync(at('package.json'), 'utf8'));
  writeFileSync(at('server.json'), serverJsonOf(readFileSync(at('server.json'), 'utf8'), pkg));
}
