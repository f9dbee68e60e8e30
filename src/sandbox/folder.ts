/**
 * The sandbox's own folder on disk.
 * 1. One living sandbox per folder: a second one is refused, a dead one's claim is taken over.
 * 2. What holds secrets is readable by the owner only.
 * 3. Databases that nobody (as root) must reach live in a folder of their own under the temporary folder, noted here.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { anyoneCanEnter } from './postgres/binaries.ts';
import { endStaleServers } from './postgres/stale.ts';
import { processIdentity } from './process-identity.ts';

const factsSchema = z.object({ apiKey: z.string(), postgresRoot: z.string() });
const claimSchema = z.object({ pid: z.number(), started: z.string() });

export type SandboxFolder = {
  path: string;
  apiKey: string;
  postgresRoot: string;
  file(name: string): string;
  /** Gives up the claim; with `discard` everything of the sandbox is deleted. */
  release(discard: boolean): void;
};

const claimedHere = new Set<string>();
const outsidePrefix = 'capstan-sandbox-pg-';

function claim(path: string): void {
  const file = join(path, 'claim.json');
  const old = existsSync(file) ? claimSchema.safeParse(parseJson(readFileSync(file, 'utf8'))).data : undefined;
  const alive = old !== undefined && old.pid !== process.pid && processIdentity(old.pid)?.started === old.started;
  if (alive || claimedHere.has(path)) {
    throw new AppError('SANDBOX_IN_USE', {
      message: `A sandbox is already running in ${path}.`,
      fix: 'Stop it first, or start this one with another folder.',
    });
  }
  claimedHere.add(path);
  const started = processIdentity(process.pid)?.started ?? '';
  writeFileSync(file, JSON.stringify({ pid: process.pid, started }), { mode: 0o600 });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Deletes database folders under the temporary folder whose sandbox is gone. */
async function sweepOutside(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(outsidePrefix))) {
    const root = join(tmpdir(), name);
    const note = join(root, 'belongs-to');
    try {
      if (!existsSync(note) || existsSync(readFileSync(note, 'utf8'))) continue;
      await endStaleServers(root);
      rmSync(root, { recursive: true, force: true });
    } catch {
      // Somebody else's folder: not ours to clean.
    }
  }
}

async function choosePostgresRoot(path: string): Promise<string> {
  if (process.getuid?.() !== 0 || (await anyoneCanEnter(path))) return join(path, 'postgres');
  const outside = mkdtempSync(join(tmpdir(), outsidePrefix));
  chmodSync(outside, 0o711);
  writeFileSync(join(outside, 'belongs-to'), path, { mode: 0o600 });
  return outside;
}

/** Opens (and makes) the folder of a sandbox; throws SANDBOX_IN_USE. */
export async function openFolder(dataDir: string): Promise<SandboxFolder> {
  const path = resolve(dataDir);
  mkdirSync(path, { recursive: true });
  claim(path);
  try {
    return await openClaimed(path);
  } catch (error) {
    claimedHere.delete(path);
    throw error;
  }
}

async function openClaimed(path: string): Promise<SandboxFolder> {
  await sweepOutside();
  const file = (name: string) => join(path, name);
  const known = existsSync(file('sandbox.json'))
    ? factsSchema.safeParse(parseJson(readFileSync(file('sandbox.json'), 'utf8'))).data
    : undefined;
  const usable = known !== undefined && (existsSync(known.postgresRoot) || known.postgresRoot.startsWith(path));
  const facts = usable ? known : { apiKey: known?.apiKey ?? randomBytes(32).toString('hex'), postgresRoot: await choosePostgresRoot(path) };
  writeFileSync(file('sandbox.json'), JSON.stringify(facts), { mode: 0o600 });
  return {
    path,
    ...facts,
    file,
    release(discard) {
      claimedHere.delete(path);
      rmSync(file('claim.json'), { force: true });
      if (!discard) return;
      for (const path of [facts.postgresRoot, file('files')]) rmSync(path, { recursive: true, force: true });
      for (const name of ['sandbox.json', 'state.json', 'journal.jsonl', 'ca.pem', 'ca.key']) rmSync(file(name), { force: true });
    },
  };
}
