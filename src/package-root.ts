import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Walks up from this file to the folder of our package.json, so that src/ and dist/ find the same files. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new TypeError('no package.json above package-root');
    folder = parent;
  }
  return folder;
}

const root = findRoot();

/** The absolute path of a file that ships with the package, given relative to package.json. */
export function packageFile(...segments: string[]): string {
  return join(root, ...segments);
}
