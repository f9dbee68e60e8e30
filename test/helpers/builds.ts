/** Another version of this package, as an upgrade brings it: a copy of the compiled product with one thing changed. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageFile } from '../../src/package-root.ts';

export type Build = { steeredDesk: string; remove(): void };

/** Copies dist-test and the migrations; `migration` adds a schema version, `revision` changes the relay's definition. */
export function makeBuild(change: { migration?: string; revision?: number }): Build {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-build-'));
  const migrations = join('src', 'store', 'sqlite', 'migrations');
  cpSync(packageFile('package.json'), join(folder, 'package.json'));
  cpSync(packageFile('dist-test'), join(folder, 'dist-test'), { recursive: true });
  cpSync(packageFile(migrations), join(folder, migrations), { recursive: true });
  symlinkSync(packageFile('node_modules'), join(folder, 'node_modules'), 'junction');
  if (change.migration !== undefined) writeFileSync(join(folder, migrations, '9999_later.sql'), change.migration);
  if (change.revision !== undefined) {
    const file = join(folder, 'dist-test', 'test', 'helpers', 'relay.js');
    const text = readFileSync(file, 'utf8');
    const changed = text.replace('revision: 1', `revision: ${change.revision}`);
    if (changed === text) throw new Error('the relay has no revision 1 to change');
    writeFileSync(file, changed);
  }
  return {
    steeredDesk: join(folder, 'dist-test', 'test', 'helpers', 'steered-desk.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
