import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.ts';
import type { Logger } from '../log.ts';
import { createScrubber } from '../scrub.ts';

/** The one scrubber of this process: what it learns holds for everything that is printed or logged. */
export const scrubber = createScrubber();

/** The file that node starts, for the worker that we leave behind. */
export const mainFile = fileURLToPath(new URL(`../main${extname(fileURLToPath(import.meta.url))}`, import.meta.url));

/** The folders of `--workflows` on this command line; one command line, one set. */
let workflowFolders: readonly string[] = [];

export function useWorkflowFolders(folders: readonly string[]): void {
  workflowFolders = folders;
}

/** Configuration and log; a command at a terminal says only what is worth a warning unless asked for more. */
export async function surroundings(
  quiet: boolean,
): Promise<{ config: Config; log: Logger; scrubber: typeof scrubber; workflowFolders: readonly string[] }> {
  const [{ quietVendors, readConfig }, { createLog }] = await Promise.all([import('../config.ts'), import('../log.ts')]);
  quietVendors();
  const config = readConfig();
  const level = quiet && config.logLevel === 'info' ? 'warn' : config.logLevel;
  return { config, log: createLog({ level, scrubber }), scrubber, workflowFolders };
}
