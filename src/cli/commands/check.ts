import { execFile } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { App } from '../../app.ts';
import { AppError, toRecord } from '../../errors.ts';
import { prepareHome } from '../../store/home.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { surroundings } from '../surroundings.ts';

type Finding = { check: string; state: 'ok' | 'warn' | 'fail'; say: string; fix?: string };

export const check = command('check', 'Check this machine and every registered Dokploy; each fault comes with its fix', {}, async () => {
  const { config } = await surroundings(true);
  const findings: Finding[] = [nodeVersion(), ...homeFolder(config.home)];
  if (findings.every((finding) => finding.state !== 'fail')) findings.push(...(await store()));
  findings.push(await pgDump());
  const failed = findings.some((finding) => finding.state === 'fail');
  return { exit: failed ? exitCodes.failed : exitCodes.ok, json: { ok: !failed, checks: findings }, text: findings.map(line).join('\n') };
});

function line({ check: name, state, say, fix }: Finding): string {
  return `${state.padEnd(4)}  ${name}: ${say}${fix === undefined ? '' : `\n      ${fix}`}`;
}

function nodeVersion(): Finding {
  const say = `this is Node ${process.versions.node}`; // an older one than 20.19 is refused by main.ts before
  return { check: 'node', state: 'ok', say };
}

/** Folder and file system; the two share one look. */
function homeFolder(folder: string): Finding[] {
  try {
    prepareHome(folder);
    return [
      { check: 'home', state: 'ok', say: `${folder} can be used` },
      { check: 'file system', state: 'ok', say: 'it is local' },
    ];
  } catch (error) {
    const onNetwork = error instanceof AppError && error.code === 'HOME_ON_NETWORK';
    return [failed(onNetwork ? 'file system' : 'home', error)];
  }
}

/** Key, store and Dokploys: opening the app looks at the first two. */
async function store(): Promise<Finding[]> {
  try {
    return await withApp(async (app) => [
      keyFile(app),
      { check: 'store', state: 'ok', say: `${app.home.database} opens` },
      ...(await dokploys(app)),
    ]);
  } catch (error) {
    const { code } = toRecord(error);
    return [failed(code.startsWith('KEY_') ? 'key' : 'store', error)];
  }
}

function keyFile({ home }: App): Finding {
  const open = process.platform !== 'win32' && (statSync(home.keyFile).mode & 0o077) !== 0;
  if (!open) return { check: 'key', state: 'ok', say: `${home.keyFile} opens the store; keep a copy of it elsewhere` };
  return { check: 'key', state: 'warn', say: 'other users of this machine can read the key file', fix: `chmod 600 ${home.keyFile}` };
}

async function dokploys(app: App): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const row of await app.registry.dokploys()) {
    const name = `dokploy ${row.name}`;
    try {
      const { version, warnings } = await app.checkDokploy(await app.connection(row));
      findings.push({ check: name, state: 'ok', say: `Dokploy ${version} answers and takes the key` });
      findings.push(...warnings.map(({ say }): Finding => ({ check: name, state: 'warn', say })));
    } catch (error) {
      findings.push(failed(name, error));
    }
  }
  return findings;
}

/** Backups need it later; the wizard does not. */
async function pgDump(): Promise<Finding> {
  for (const program of ['pg_dump', ...debianPrograms()]) {
    try {
      const { stdout } = await promisify(execFile)(program, ['--version']);
      return { check: 'pg_dump', state: 'ok', say: `${stdout.trim()} at ${program}` };
    } catch {
      // not there: the next place
    }
  }
  const fix =
    process.platform === 'darwin' ? 'brew install libpq' : 'Install the PostgreSQL client, such as: apt-get install postgresql-client';
  return { check: 'pg_dump', state: 'warn', say: 'not found; backups and migrations will need it', fix };
}

function debianPrograms(): string[] {
  const folder = '/usr/lib/postgresql';
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort((a, b) => Number(b) - Number(a))
    .map((major) => join(folder, major, 'bin', 'pg_dump'));
}

function failed(name: string, error: unknown): Finding {
  const { code, message, fix } = toRecord(error);
  return { check: name, state: 'fail', say: `${code}: ${message}`, ...(fix === undefined ? {} : { fix }) };
}
