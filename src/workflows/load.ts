/** Workflows that users bring in folders (design §7): the named exports of each file that `defineWorkflow` made. */
import { readdirSync } from 'node:fs';
import { join, parse, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isOwnWorkflow, type OwnWorkflow } from '../define.ts';
import { AppError, toRecord } from '../errors.ts';
import { provideOwnPackages } from './resolve-own.ts';

export type LoadedWorkflow = OwnWorkflow & { file: string };

/** In the order of folders, files and exports. Throws WORKFLOWS_UNREADABLE, WORKFLOW_BROKEN and WORKFLOWS_EMPTY. */
export async function loadWorkflows(folders: readonly string[]): Promise<LoadedWorkflow[]> {
  if (folders.length === 0) return [];
  provideOwnPackages();
  const loaded: LoadedWorkflow[] = [];
  for (const folder of folders) {
    const found: LoadedWorkflow[] = [];
    for (const file of filesOf(resolve(folder))) {
      for (const value of Object.values(await importFile(file))) if (isOwnWorkflow(value)) found.push({ ...value, file });
    }
    if (found.length === 0) throw nothingIn(folder);
    loaded.push(...found);
  }
  return loaded;
}

/** Node 22.18 and later run TypeScript by leaving the types out; a compiled file of the same name wins. */
function filesOf(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch (cause) {
    throw new AppError('WORKFLOWS_UNREADABLE', {
      message: `The folder of workflows ${folder} cannot be read.`,
      fix: 'Give --workflows a folder with *.js or *.mjs files.',
      cause,
    });
  }
  const scripts = names.filter((name) => /\.m?js$/.test(name));
  const compiled = new Set(scripts.map((name) => parse(name).name));
  const typed = stripsTypes() ? names.filter((name) => /(?<!\.d)\.m?ts$/.test(name) && !compiled.has(parse(name).name)) : [];
  return [...scripts, ...typed].map((name) => join(folder, name));
}

function stripsTypes(): boolean {
  // Newer than our types of Node.
  return Boolean((process.features as { typescript?: unknown }).typescript);
}

async function importFile(file: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>; // a module's namespace
  } catch (cause) {
    throw new AppError('WORKFLOW_BROKEN', {
      message: `The file ${file} cannot be loaded: ${toRecord(cause).message}.`,
      fix: 'Mend it; nothing was registered. It may import capstan-mcp, xstate and zod.',
      cause,
    });
  }
}

function nothingIn(folder: string): AppError {
  const typed = stripsTypes() ? '' : ' This Node runs no TypeScript: compile *.ts files, or use Node 22.18 or newer.';
  return new AppError('WORKFLOWS_EMPTY', {
    message: `No file in ${folder} exports a workflow.`,
    fix: `Export what defineWorkflow returns from a *.js or *.mjs file there.${typed}`,
  });
}
