/**
 * Bringing a database back beside those that are there. Invariants:
 * 1. The database is ours as long as its comment carries our key; nothing else is ever dropped or overwritten (E9).
 * 2. The file is read and judged to its end; one that turns out damaged on the way leaves no database behind.
 * 3. Roles that exist are left as they are, passwords too.
 */
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import * as contract from '../../../machines/effects/restore.ts';
import { AppError } from '../../errors.ts';
import { changedBySomebodyElse } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { startChild } from './child.ts';
import { endSessionsOf, libpqOf } from './connection.ts';
import type { DatabaseContents, DatabaseProperties } from './database-contents.ts';
import type { BackupDeps } from './deps.ts';
import { createProgress } from './meter.ts';
import { stopFlags, wholeEnd } from './newer-client.ts';
import { readEncrypted } from './pipeline.ts';
import { pgClientFor } from './programs.ts';
import { repairAccess } from './restore-access.ts';
import {
  beside,
  insideOf,
  maintenance,
  markOn,
  type Opened,
  openPlan,
  openRestore,
  rolesOf,
  setMark,
  sqlFailure,
} from './restore-document.ts';
import { createRoleSql, identifier, literal, membershipSql, settingSql } from './roles.ts';
import { contentsOf } from './verify.ts';

export function applyRoles(deps: BackupDeps) {
  return defineHandler(contract.applyRoles, {
    async prepare(ctx, input): Promise<{ there: string[] }> {
      const { plan, place } = await openPlan(ctx, input);
      return { there: await beside(place, ctx, plan, (client) => existing(client, plan.createRoles)) };
    },
    async run(ctx, input) {
      const { plan, place, backup } = await openRestore(deps, ctx, input);
      const document = plan.createRoles.length === 0 ? undefined : await rolesOf(backup);
      const wanted = new Set(plan.createRoles);
      const statements = [
        ...(document?.roles ?? []).filter(({ name }) => wanted.has(name)).flatMap(createRoleSql),
        ...(document?.memberships ?? []).filter(({ role, member }) => wanted.has(role) || wanted.has(member)).map(membershipSql),
      ];
      await beside(place, ctx, plan, async (client) => {
        await client.query('begin');
        try {
          for (const statement of statements) await client.query(statement);
          await client.query('commit');
        } catch (error) {
          await client.query('rollback').catch(() => undefined);
          throw sqlFailure(error, 'The roles could not be created');
        }
      });
      return { created: plan.createRoles };
    },
    async probe(ctx, input): Promise<Probe<{ created: string[] }>> {
      const { plan, place } = await openPlan(ctx, input);
      const there = await beside(place, ctx, plan, (client) => existing(client, plan.createRoles));
      if (there.length === plan.createRoles.length) return { state: 'applied', output: { created: plan.createRoles } };
      return there.length === 0 ? { state: 'absent' } : { state: 'partial', say: 'somebody made some of the roles meanwhile.' };
    },
    async undo(ctx, input, { there }: { there: string[] }) {
      const { plan, place } = await openPlan(ctx, input);
      await beside(place, ctx, plan, async (client) => {
        const ours = (await existing(client, plan.createRoles)).filter((name) => !there.includes(name));
        try {
          for (const name of ours) await client.query(`drop role ${identifier(name)}`);
        } catch (error) {
          throw sqlFailure(error, 'A role that the restore had created is in use and stays');
        }
      });
    },
  });
}

async function existing(client: Client, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('select rolname as name from pg_roles where rolname = any($1)', [names]);
  return rows.map(({ name }) => name);
}

export function applyDatabase(deps: BackupDeps) {
  return defineHandler(contract.applyDatabase, {
    async prepare(ctx, input): Promise<{ existed: boolean }> {
      const { plan, place } = await openPlan(ctx, input);
      return { existed: (await beside(place, ctx, plan, (client) => markOn(client, plan.into, ctx.runId))) !== undefined };
    },
    async run(ctx, input) {
      const began = ctx.now();
      const opened = await openRestore(deps, ctx, input);
      const { plan, place, backup, file } = opened;
      const contents = await contentsOf(backup, file);
      let repaired: string[] = [];
      await beside(place, ctx, plan, async (client) => {
        const mark = await markOn(client, plan.into, ctx.runId);
        if (mark === 'foreign') throw changedBySomebodyElse(`The database ${plan.into}`, { database: plan.into });
        if (mark !== undefined) await drop(client, plan.into);
        await createDatabase(client, plan.into, contents.properties);
        await setMark(client, plan.into, ctx.runId, 'begun');
        try {
          await restoreInto(ctx, opened);
          repaired = await insideOf(place, ctx, plan.into, (inside) => repairAccess(inside, contents.catalog));
          for (const statement of settingStatements(plan.into, contents)) await client.query(statement);
          await setMark(client, plan.into, ctx.runId, 'restored');
        } catch (error) {
          await drop(client, plan.into).catch(() => undefined); // where it cannot be dropped now, the mark lets the next attempt do it
          throw error;
        }
      });
      return { database: plan.into, tookMs: ctx.now() - began, repaired: repaired.slice(0, 50).map((text) => text.slice(0, 200)) };
    },
    async probe(ctx, input): Promise<Probe<{ database: string; tookMs: number; repaired: string[] }>> {
      const { plan, place } = await openPlan(ctx, input);
      await endSessionsOf({ ...place, database: maintenance(plan.database) }, ctx.key);
      const mark = await beside(place, ctx, plan, (client) => markOn(client, plan.into, ctx.runId));
      if (mark === 'restored') return { state: 'applied', output: { database: plan.into, tookMs: 0, repaired: [] } };
      if (mark === 'begun') return { state: 'partial', say: 'the database was begun and not finished.' };
      return { state: 'absent' };
    },
    async undo(ctx, input) {
      const { plan, place } = await openPlan(ctx, input);
      await beside(place, ctx, plan, async (client) => {
        const mark = await markOn(client, plan.into, ctx.runId);
        if (mark === 'foreign') throw changedBySomebodyElse(`The database ${plan.into}`, { database: plan.into });
        if (mark !== undefined) await drop(client, plan.into);
      });
    },
  });
}

const drop = (client: Client, database: string) => client.query(`drop database if exists ${identifier(database)} with (force)`);

/** Of the locale of a database, by who provides it; libc knows the two above alone. */
const providers: Record<string, (locale: string) => string[]> = {
  i: (locale) => [`locale_provider icu icu_locale ${locale}`],
  b: (locale) => [`locale_provider builtin builtin_locale ${locale}`],
};

async function createDatabase(client: Client, name: string, properties: DatabaseProperties): Promise<void> {
  const { encoding, collate, ctype, provider, icuLocale, owner } = properties;
  const locale = [
    `lc_collate ${literal(collate)}`,
    `lc_ctype ${literal(ctype)}`,
    ...(icuLocale === null ? [] : (providers[provider]?.(literal(icuLocale)) ?? [])),
  ];
  try {
    await client.query(
      `create database ${identifier(name)} template template0 owner ${identifier(owner)} encoding ${literal(encoding)} ${locale.join(' ')}`,
    );
  } catch (error) {
    throw sqlFailure(error, `The database ${name} could not be created`);
  }
}

async function restoreInto(ctx: EffectContext, { plan, place, backup, file }: Opened): Promise<void> {
  const { dbname, ...libpq } = libpqOf(place, ctx.key, plan.into);
  const { rows } = await beside(place, ctx, plan, (client) =>
    client.query<{ major: number }>(`select current_setting('server_version_num')::int / 10000 as major`),
  );
  const serverMajor = rows[0]?.major ?? 0;
  const program = await pgClientFor('pg_restore', Math.max(serverMajor, backup.manifest.server.major));
  const child = startChild({
    file: program.file,
    args: [...stopFlags(program, serverMajor), '--no-password', `--dbname=${dbname}`],
    signal: ctx.signal,
    ...libpq,
  });
  child.stdout.resume();
  const progress = createProgress(`Restoring ${plan.database}`, file.bytes, ctx.now, ctx.progress);
  try {
    const { clear, verdict } = await readEncrypted(backup.read(file, progress));
    await pipeline(clear, child.stdin, { signal: ctx.signal }).catch(async (error: unknown) => {
      // A program that closed its input has the better reason; what it cut off says nothing of the file.
      if (closedByReader(error)) await child.ended;
      child.stop();
      await verdict;
      await child.ended;
      throw error;
    });
    await verdict;
    await wholeEnd(child.ended, program, serverMajor);
  } catch (error) {
    child.stop();
    await child.ended.catch(() => undefined);
    if (error instanceof AppError && error.code === 'PROGRAM_FAILED')
      throw new AppError('RESTORE_FAILED', {
        message: `pg_restore stopped while restoring ${plan.database}; the database it was made in was removed, nothing else was touched.`,
        fix: 'Read in the details what it says, put it right, and retry.',
        ...(error.details === undefined ? {} : { details: error.details }),
        cause: error,
      });
    throw error;
  }
}

function closedByReader(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(String(error.code));
}

/** Settings, limits and grants of the database itself, which pg_restore applies only under the old name. */
export function settingStatements(name: string, { properties }: DatabaseContents): string[] {
  const database = `DATABASE ${identifier(name)}`;
  return [
    ...properties.settings.flatMap(({ role, settings }) =>
      settings.map((setting) => settingSql(role === null ? database : `ROLE ${identifier(role)} IN ${database}`, setting)),
    ),
    ...(properties.connectionLimit >= 0 ? [`ALTER ${database} CONNECTION LIMIT ${properties.connectionLimit}`] : []),
    ...(properties.acl === null ? [] : grantStatements(database, properties.acl)),
  ];
}

const databasePrivileges: Record<string, string> = { C: 'CREATE', c: 'CONNECT', T: 'TEMPORARY' };

function grantStatements(database: string, acl: readonly string[]): string[] {
  const grants = acl.flatMap((item) => {
    const found = /^(?:"((?:[^"]|"")*)"|([^"=]*))=([A-Za-z*]*)/.exec(item);
    if (!found) return [];
    const grantee = found[1]?.replaceAll('""', '"') ?? found[2] ?? '';
    const to = grantee === '' ? 'PUBLIC' : identifier(grantee);
    return [...(found[3] ?? '').matchAll(/([A-Za-z])(\*?)/g)].map(
      ([, code = '', star]) => `GRANT ${databasePrivileges[code] ?? code} ON ${database} TO ${to}${star ? ' WITH GRANT OPTION' : ''}`,
    );
  });
  return [`REVOKE ALL ON ${database} FROM PUBLIC`, ...grants];
}
