// The golden file of the definitions (engine.md V1): the hash of each workflow and of each source of the rule book.
// A changed source forces a decision: raise `revision` in machines/registry.ts when runs must not go on under the new code
// unnoticed, then (or when the behaviour stayed the same) run `npm run golden` and commit the file.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const file = new URL('test/machines/golden.json', root);

/** From the compiled sources in dist-test/, which every test run makes anew. */
export async function computeGolden() {
  const [{ workflows }, { contracts }, { definitionOf }, { hashJson }, { toJsonSchema }] = await Promise.all(
    ['machines/registry.js', 'machines/effects/registry.js', 'src/engine/registration.js', 'src/store/crypto.js', 'src/json-schema.js'].map(
      (path) => import(new URL(`dist-test/${path}`, root)),
    ),
  );
  const sources = readdirSync(new URL('machines/', root), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replaceAll('\\', '/'))
    .sort();
  const text = (name) => readFileSync(new URL(`machines/${name}`, root), 'utf8').replaceAll('\r\n', '\n');
  return {
    workflows: Object.fromEntries(
      Object.values(workflows).map((workflow) => [
        workflow.name,
        { revision: workflow.revision, hash: hashJson(definitionOf(workflow, contracts, toJsonSchema)) },
      ]),
    ),
    sources: Object.fromEntries(sources.map((name) => [name, createHash('sha256').update(text(name)).digest('hex')])),
  };
}

export const readGolden = () => JSON.parse(readFileSync(file, 'utf8'));

if (process.argv[1]?.endsWith('golden.mjs')) writeFileSync(file, `${JSON.stringify(await computeGolden(), null, 2)}\n`);
