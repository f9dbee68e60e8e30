/** Leaving (engine.md L1): what is unfinished goes on in a worker that is left behind, and we are gone within 2 s. */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { App } from '../app.ts';
import { readVariable } from '../config.ts';
import { mainFile } from './surroundings.ts';

const graceMs = 1_500;

/** Spawns the worker if it is needed, stops our own and closes the app. */
export async function leave(app: App): Promise<void> {
  if (await isNeeded(app)) leaveWorkerBehind(app.home.folder, app.workflowFolders);
  await app.worker.stop(graceMs);
  app.close();
}

/**
 * Another process that works takes over what we leave; one that only looks does not. Of two that leave at once each has
 * stopped counting before it looks, so not both rely on the other. As process 1 nothing of ours would survive (L1).
 */
async function isNeeded(app: App): Promise<boolean> {
  if (app.handsOver() || process.pid === 1) return false;
  return app.hasWork();
}

/** What a worker needs of our environment; a secret that was handed over as `env:NAME` is no part of it (engine.md S6). */
const passedOn = [
  'CAPSTAN_LOG',
  'PATH',
  'HOME',
  'USERPROFILE',
  'SystemRoot',
  'LOCALAPPDATA',
  'APPDATA',
  'TMPDIR',
  'TEMP',
  'TMP',
  'LANG',
  'TZ',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
];

/** Detached and without our streams: inherited ones would keep an MCP client waiting. */
function leaveWorkerBehind(home: string, workflowFolders: readonly string[]): void {
  const known = passedOn.flatMap((name): [string, string][] => {
    const value = readVariable(name);
    return value === undefined ? [] : [[name, value]];
  });
  const env = { ...Object.fromEntries(known), CAPSTAN_HOME: resolve(home) };
  const own = workflowFolders.flatMap((folder) => ['--workflows', resolve(folder)]);
  spawn(process.execPath, [mainFile, 'worker', '--until-idle', ...own], { detached: true, stdio: 'ignore', windowsHide: true, env })
    .on('error', () => undefined) // nobody is left to tell; the next process takes the work over
    .unref();
}
