import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'smol-toml';
import { readConfig, readVariable } from '../../config.ts';
import { AppError } from '../../errors.ts';
import { usage, valuesOf } from '../arguments.ts';
import { command } from '../command.ts';
import { entryIn, writeEntry } from '../connect/client-config.ts';
import { type ClientFile, type ClientName, clientFile, clientNames, type Entry } from '../connect/clients.ts';
import { type Tried, tryEntry } from '../connect/try-entry.ts';
import { exitCodes } from '../exit-codes.ts';
import { nearest } from '../nearest.ts';
import { mainFile } from '../surroundings.ts';

export const connect = command(
  'connect',
  'Write the entry of an MCP client, start it once, and say the first sentence',
  {
    client: { type: 'positional', required: true, description: `One of: ${clientNames.join(', ')}` },
    name: { type: 'string', description: 'Name of the entry. Default: capstan' },
    toolsets: { type: 'string', valueHint: 'A,B', description: 'Groups of tools beside core, or all' },
    file: { type: 'string', valueHint: 'FILE', description: "Another file of the same form, such as a project's .mcp.json" },
    replace: { type: 'boolean', description: 'Put it in place of another entry of the same name' },
    print: { type: 'boolean', description: 'Only show what would be written, and where' },
    remove: { type: 'boolean', description: 'Take the entry out again' },
  },
  async ({ client, name = 'capstan', toolsets, file, replace, print, remove }, raw) => {
    const place = placeOf(client, file);
    if (!/^[A-Za-z0-9_-]{1,40}$/.test(name))
      throw usage('capstan connect', 'The name has letters, digits, hyphens and underscores, at most 40.');
    if (remove) return removed(place, name);
    const entry = await entryFor(toolsets, valuesOf(raw, 'workflows'));
    const written = place.shape(entry);
    if (print) {
      const text =
        place.format === 'json'
          ? JSON.stringify({ [place.key]: { [name]: written } }, null, 2)
          : stringify({ [place.key]: { [name]: written } }).trimEnd();
      return {
        exit: exitCodes.ok,
        json: { client, file: place.path, name, entry: written, written: false },
        text: `${place.path}\n\n${text}`,
      };
    }
    const known = entryIn(place, name);
    if (known !== undefined && !isDeepStrictEqual(known, written) && replace !== true)
      throw new AppError('CLIENT_ENTRY_EXISTS', {
        message: `${place.title} has another entry named ${name} already in ${place.path}.`,
        fix: 'Give --replace to put this one in its place, or --name for a second one.',
      });
    const tried = await tryEntry(entry);
    const changed = writeEntry(place, name, written);
    const json = { client, file: place.path, name, entry: written, written: changed, tried, say: sentence(tried) };
    return { exit: exitCodes.ok, json, text: told(place, name, changed, tried) };
  },
);

function placeOf(client: string, file: string | undefined): ClientFile {
  const known = clientNames.find((name): name is ClientName => name === client);
  if (!known)
    throw usage(
      'capstan connect',
      `There is no client ${JSON.stringify(client.slice(0, 40))}; known are: ${clientNames.join(', ')}.`,
      nearest(client, [...clientNames]),
    );
  const place = clientFile(known, { platform: process.platform, home: homedir(), variable: readVariable });
  return file === undefined ? place : { ...place, path: resolve(file) };
}

/** Absolute, so that it holds wherever the client starts it from; no variable but the home. */
async function entryFor(toolsets: string | undefined, workflows: readonly string[]): Promise<Entry> {
  const { toolsOf } = await import('../../mcp/toolset.ts');
  if (toolsets !== undefined) toolsOf(toolsets.split(',').filter((each) => each !== '')); // an unknown one is told here, not by a client
  return {
    command: process.execPath,
    args: [
      mainFile,
      'serve',
      ...(toolsets === undefined ? [] : ['--toolsets', toolsets]),
      ...workflows.flatMap((folder) => ['--workflows', resolve(folder)]),
    ],
    env: { CAPSTAN_HOME: resolve(readConfig().home) },
  };
}

function removed(place: ClientFile, name: string) {
  const had = entryIn(place, name) !== undefined;
  if (had) writeEntry(place, name, undefined);
  const text = had
    ? `Took ${name} out of ${place.path}. ${place.afterwards}`
    : `There is no entry ${name} in ${place.path}; nothing was changed.`;
  return { exit: exitCodes.ok, json: { file: place.path, name, removed: had }, text };
}

function told(place: ClientFile, name: string, changed: boolean, tried: Tried): string {
  return [
    changed ? `Wrote ${name} into ${place.path}.` : `${name} stands in ${place.path} already.`,
    `Started once: Capstan ${tried.version} answered in ${tried.startMs} ms with ${tried.tools} tools.`,
    ...(mainFile.includes('_npx')
      ? ['NPX_CACHE: this copy lies in the cache of npx, which may be emptied; npm install -g capstan-mcp keeps it.']
      : []),
    ...(tried.dokploys.length === 0 ? ['Next, register a Dokploy: capstan dokploy add main --url https://dokploy.example.com'] : []),
    `${place.afterwards} Then say:`,
    '',
    `  ${sentence(tried)}`,
  ].join('\n');
}

function sentence({ dokploys }: Tried): string {
  return `Set up Supabase on the dokploy ${dokploys[0] ?? 'main'} with the host supabase.example.com.`;
}
