/**
 * Owners and grants of what was restored, put right where they are not those of the backup. Invariants:
 * 1. Each statement stands alone: one that Postgres refuses is told, the others are kept, and the proof judges what is then there.
 * 2. Nothing is granted that the backup does not have.
 */
import type { Client } from 'pg';
import type { Catalog } from '../../catalog/model.ts';
import { readCatalog } from '../postgres/read-catalog.ts';
import { portOf } from './deps.ts';
import { accessRepairs, asBefore17 } from './repair-access.ts';

/** Objects whose access was repaired. The session is one on the restored database. */
export async function repairAccess(client: Client, expected: Catalog): Promise<string[]> {
  const found = asBefore17(await readCatalog(portOf(client)), expected);
  const repaired = new Set<string>();
  for (const { of, statement } of accessRepairs(expected, found))
    try {
      await client.query(statement);
      repaired.add(of);
    } catch {
      // It still differs then, and the proof says so of this very object.
    }
  return [...repaired];
}
