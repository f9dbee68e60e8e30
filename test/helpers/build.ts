import { execFileSync } from 'node:child_process';
import { packageFile } from '../../src/package-root.ts';

/** Real child processes need JavaScript: compiles (types are checked by `npm run types`) src, machines and the test helpers once per test run into dist-test/. */
export function setup(): void {
  execFileSync(
    process.execPath,
    [packageFile('node_modules', 'typescript', 'bin', 'tsc'), '-p', packageFile('tsconfig.process.json'), '--noCheck'],
    { stdio: 'inherit' },
  );
}

/** The compiled form of a helper, to be started with node. */
export function compiledHelper(name: string): string {
  return packageFile('dist-test', 'test', 'helpers', `${name}.js`);
}
