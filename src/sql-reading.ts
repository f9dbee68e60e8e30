/** Reading a target by somebody else's SQL: pages for a door, a file for what no door holds. */

import type { Row } from './effects/postgres/read-statement.ts';
import type { Rung, SqlValue } from './effects/postgres/session.ts';
import type { Vault } from './engine/ports.ts';
import type { Scrubber } from './scrub.ts';
import type { SqlReach } from './sql-reach.ts';
import type { Registry } from './store/registry.ts';
import { secretsOf } from './target-place.ts';

export type SqlQuestion = {
  target: string;
  sql: string;
  parameters?: readonly SqlValue[] | undefined;
  /** Rows at most; default 100. */
  limit?: number | undefined;
  /** From the answer before. */
  cursor?: string | undefined;
  /** Default 30,000. */
  timeoutMs?: number | undefined;
  rung?: Rung | undefined;
};

export type SqlAnswer = {
  target: string;
  via: { rung: Rung; role: string; postgres: number; why: string };
  columns: string[];
  /** Those that one answer holds; still untrusted. */
  rows: Row[];
  /** Rows read, in the file too where there is one. */
  rowCount: number;
  /** Send it with the same statement for the rows behind these. */
  cursor?: string;
  file?: { path: string; bytes: number; rows: number };
  warnings: { code: string; say: string }[];
};

export type SqlReadingDeps = {
  reach: Pick<SqlReach, 'open'>;
  registry: Pick<Registry, 'target'>;
  vault: Pick<Vault, 'reveal'>;
  now: () => number;
  scrubber: Scrubber;
  /** Folder for files that nobody named. */
  exports: string;
};

const defaultLimit = 100;
export const maxLimit = 100_000;
/** What one answer holds, and beyond what everything goes to a file by itself (design §5). */
const inlineBytes = 48_000;
const spillBytes = 512 * 1024;
const maxFileBytes = 256 * 1024 * 1024;
const previewRows = 20;

/** Throws TARGET_UNKNOWN, CURSOR_FOREIGN, EXPORT_FAILED and the codes of judge, openSession and readStatement. */
export async function readBySql(deps: SqlReadingDeps, question: SqlQuestion, signal?: AbortSignal): Promise<SqlAnswer> {
  const { target, sql, parameters = [], limit = defaultLimit, timeoutMs = 30_000 } = question;
  const [{ judgeReading, readStatement }, { offsetFrom, cursorFor }, { openExport }] = await Promise.all([
    import('./effects/postgres/read-statement.ts'),
    import('./effects/postgres/cursor.ts'),
    import('./store/exports.ts'),
  ]);
  const offset = offsetFrom(question.cursor, { target, sql, parameters });
  const judged = await judgeReading({ sql, parameters });
  const row = await deps.registry.target(target);
  for (const reference of Object.values(secretsOf(row))) deps.scrubber.register(await deps.vault.reveal(reference));
  const session = await deps.reach.open(target, 'model-read', {
    timeoutMs,
    applicationName: 'capstan execute_sql',
    ...(signal ? { signal } : {}),
    ...(question.rung ? { rung: question.rung } : {}),
  });
  const stamp = new Date(deps.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  const page = createPage(() => openExport(deps.exports, `sql-${target}-${stamp}`, 'jsonl'), deps.scrubber.scrub);
  try {
    const reading = { sql, parameters, limit, offset, timeoutMs, ...(signal ? { signal } : {}) };
    const { fields, more, duplicates } = await readStatement(session, judged, reading, page.take);
    const { rows, read, cut, file } = page.end();
    const next = offset + (file ? read : rows.length);
    return {
      target,
      via: { rung: session.rung, role: session.role, postgres: session.serverMajor, why: session.reasons.at(-1) ?? '' },
      columns: fields.map(({ name }) => name),
      rows,
      rowCount: read,
      ...(more || cut ? { cursor: cursorFor({ target, sql, parameters }, next) } : {}),
      ...(file ? { file } : {}),
      warnings: warningsOf(session.role, session.superuser, duplicates, offset > 0 || more || cut),
    };
  } catch (error) {
    page.drop();
    throw error;
  } finally {
    await session.close();
  }
}

type OpenFile = { path: string; write(text: string): void; bytes(): number; close(): void; remove(): void };

/** Keeps rows until they are too many to keep, then sends all of them to a file. */
function createPage(open: () => OpenFile, scrub: (text: string) => string) {
  let kept: string[] = [];
  let preview: Row[] = [];
  let bytes = 0;
  let read = 0;
  let file: OpenFile | undefined;
  let full = false;
  return {
    take(rows: Row[]): boolean {
      const lines = rows.map((row) => `${JSON.stringify(row)}\n`);
      bytes += lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
      read += rows.length;
      if (file === undefined && bytes <= spillBytes) {
        kept.push(...lines);
        return true;
      }
      if (file === undefined) {
        preview = kept.concat(lines).slice(0, previewRows).map(parseRow);
        file = open();
        file.write(scrub(kept.join('')));
        kept = [];
      }
      file.write(scrub(lines.join('')));
      full = bytes > maxFileBytes;
      return !full;
    },
    end(): { rows: Row[]; read: number; cut: boolean; file?: { path: string; bytes: number; rows: number } } {
      if (file === undefined) {
        const rows = fitting(kept);
        return { rows, read, cut: rows.length < kept.length };
      }
      file.close();
      const lines = preview.map((row) => `${JSON.stringify(row)}\n`);
      return { rows: fitting(lines), read, cut: full, file: { path: file.path, bytes: file.bytes(), rows: read } };
    },
    drop(): void {
      file?.remove();
    },
  };
}

/** Whole rows from the first on; the first always, since a page of none would never end. */
function fitting(lines: readonly string[]): Row[] {
  const rows: Row[] = [];
  let bytes = 0;
  for (const line of lines) {
    bytes += Buffer.byteLength(line);
    if (bytes > inlineBytes && rows.length > 0) break;
    rows.push(parseRow(line));
  }
  return rows;
}

function parseRow(line: string): Row {
  return JSON.parse(line) as Row; // written by JSON.stringify above
}

function warningsOf(role: string, superuser: boolean, duplicates: readonly string[], paged: boolean): SqlAnswer['warnings'] {
  const warnings: SqlAnswer['warnings'] = [];
  if (superuser) warnings.push({ code: 'SUPERUSER', say: 'The owner allowed a superuser here: READ ONLY alone does not bind one.' });
  else if (role !== 'supabase_read_only_user')
    warnings.push({
      code: 'ROLE_CAN_WRITE',
      say: `It ran as ${role} in a READ ONLY transaction. A role that itself only reads is safer: the workflow enable-read-only gives supabase_read_only_user a login, after a person approved it.`,
    });
  if (duplicates.length > 0)
    warnings.push({ code: 'DUPLICATE_COLUMNS', say: 'Several columns have one name and only the last is shown: give them names with AS.' });
  if (paged) warnings.push({ code: 'PAGED', say: 'Each page runs the statement again: without ORDER BY rows may repeat or be missing.' });
  return warnings;
}
