import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processIdentity } from '../process-identity.ts';

const exists = (pid: number): boolean => processIdentity(pid) !== undefined;

async function waitForEnd(pid: number, timeoutMs: number): Promise<boolean> {
  // It is not our child, so its end cannot be awaited as an event.
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (!exists(pid)) return true;
  }
  return !exists(pid);
}

/**
 * Ends a server that a killed sandbox left behind in this data folder.
 * It is ended only if the process under the noted id runs Postgres on this very folder; before the harder signal
 * its start time is compared, so that a later process with the same id is never touched.
 */
export async function endStaleServer(dataDir: string): Promise<void> {
  const note = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const [pidText, folder] = note.split('\n');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 1 || folder !== dataDir) return;
  const before = processIdentity(pid);
  if (before === undefined || !before.command.includes('postgres') || !before.command.includes(`-D ${dataDir}`)) return;
  process.kill(pid, 'SIGINT');
  if (await waitForEnd(pid, 5_000)) return;
  if (processIdentity(pid)?.started === before.started) process.kill(pid, 'SIGKILL');
  await waitForEnd(pid, 2_000);
}

/** Ends what is left over under a folder of data folders. */
export async function endStaleServers(root: string): Promise<void> {
  const names = await readdir(root).catch(() => []);
  await Promise.all(names.map((name) => endStaleServer(join(root, name, 'data'))));
}
