import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { compiledHelper } from '../helpers/build.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';

test.skipIf(process.platform === 'win32')('a full disk is said so, and every run that was answered is still there', async () => {
  const place = temporaryHome();
  (await openRelayDesk(place.home, 'http://127.0.0.1:1')).close();
  // A file size limit of 1 MB stands for the full disk; the signal that comes with it is ignored, so writes fail with an error.
  const script = `trap '' XFSZ; ulimit -f 1024; exec "$0" "$1" "$2"`;
  const done = spawnSync('bash', ['-c', script, process.execPath, compiledHelper('full-disk-process'), place.home], { encoding: 'utf8' });
  const { code, begun } = JSON.parse(done.stdout) as { code: string; begun: number };
  expect(code).toBe('DISK_FULL');
  expect(begun).toBeGreaterThan(10);
  const desk = await openRelayDesk(place.home, 'http://127.0.0.1:1');
  const kept = await desk.engine.list({ limit: 10_000 });
  expect(kept).toHaveLength(begun);
  await desk.engine.start({ workflow: 'relay', name: 'after' }, { principal: 'p', door: 't' });
  desk.close();
  place.remove();
});
