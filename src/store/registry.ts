import { and, asc, desc, eq, sql } from 'drizzle-orm';
import type { StagedSecret } from '../engine/ports.ts';
import { AppError } from '../errors.ts';
import type { Connection } from './sqlite/database.ts';
import { artifacts, dokploys, secrets, targets } from './sqlite/schema.ts';

/** How a dokploy is reached, as stored; header values are secret references (design §6). */
export type DokployOptions = { ca?: string; headers?: Record<string, string>; resolve?: string[]; templateBaseUrl?: string };
export type DokployRow = { name: string; url: string; keySecret: string; options: DokployOptions; createdAt: number };
export type TargetRow = { name: string; kind: string; tags: string[]; record: Record<string, unknown>; createdAt: number };
export type SecretInfo = { reference: string; name: string; scope: string; createdAt: number; retired: boolean };

/** By this role an artifact belongs to a target: pruning keeps it as long as the target is registered. */
export const snapshotRole = (target: string): string => `snapshot:${target}`;

/** Dokploys, targets and the names of secrets: plain reads and single-step writes. */
export type Registry = {
  dokploys(): Promise<DokployRow[]>;
  /** Throws DOKPLOY_UNKNOWN naming the known ones. */
  dokploy(name: string): Promise<DokployRow>;
  /** Row and secrets in one commit. Throws DOKPLOY_EXISTS. */
  addDokploy(row: Omit<DokployRow, 'createdAt'>, staged: StagedSecret[]): Promise<void>;
  removeDokploy(name: string): Promise<void>;
  targets(): Promise<TargetRow[]>;
  /** Throws TARGET_UNKNOWN. */
  target(name: string): Promise<TargetRow>;
  /** Throws TARGET_EXISTS. */
  addTarget(row: Omit<TargetRow, 'createdAt'>, staged: StagedSecret[]): Promise<void>;
  removeTarget(name: string): Promise<void>;
  /** Configuration snapshots of a target as `artifact:<id>`, newest first; they belong to the target, not to a run. */
  snapshots(target: string): Promise<{ reference: string; at: number }[]>;
  keepSecrets(staged: StagedSecret[]): Promise<void>;
  secretsOf(scope: string): Promise<SecretInfo[]>;
};

export function createRegistry({ read, write }: Connection, now: () => number): Registry {
  const keep = (staged: StagedSecret[]) =>
    staged.map((secret) => ({ ...secret, nonce: Buffer.from(secret.nonce), ciphertext: Buffer.from(secret.ciphertext), createdAt: now() }));
  return {
    dokploys: () => read((db) => db.select().from(dokploys).orderBy(asc(dokploys.name)).all().map(toDokploy)),
    async dokploy(name) {
      const row = await read((db) => db.select().from(dokploys).where(eq(dokploys.name, name)).get());
      if (row) return toDokploy(row);
      const known = (await this.dokploys()).map((each) => each.name);
      throw new AppError('DOKPLOY_UNKNOWN', {
        message: `There is no dokploy named ${JSON.stringify(name.slice(0, 60))}.`,
        fix:
          known.length > 0
            ? `Known are: ${known.join(', ')}.`
            : 'The owner adds one at a terminal: capstan dokploy add NAME --url URL --key env:NAME.',
        details: { known },
      });
    },
    addDokploy: (row, staged) =>
      write((db) => {
        if (db.select({ name: dokploys.name }).from(dokploys).where(eq(dokploys.name, row.name)).get())
          throw exists('DOKPLOY_EXISTS', 'dokploy', row.name);
        for (const secret of keep(staged)) db.insert(secrets).values(secret).run();
        db.insert(dokploys)
          .values({ ...row, createdAt: now() })
          .run();
      }),
    async removeDokploy(name) {
      await this.dokploy(name);
      await write((db) => db.delete(dokploys).where(eq(dokploys.name, name)).run());
    },
    targets: () => read((db) => db.select().from(targets).orderBy(asc(targets.name)).all().map(toTarget)),
    async target(name) {
      const row = await read((db) => db.select().from(targets).where(eq(targets.name, name)).get());
      if (row) return toTarget(row);
      throw new AppError('TARGET_UNKNOWN', {
        message: `There is no target named ${JSON.stringify(name.slice(0, 60))}.`,
        fix: 'List the targets to see their names.',
      });
    },
    addTarget: (row, staged) =>
      write((db) => {
        if (db.select({ name: targets.name }).from(targets).where(eq(targets.name, row.name)).get())
          throw exists('TARGET_EXISTS', 'target', row.name);
        for (const secret of keep(staged)) db.insert(secrets).values(secret).run();
        db.insert(targets)
          .values({ ...row, createdAt: now() })
          .run();
      }),
    async removeTarget(name) {
      await this.target(name);
      await write((db) => db.delete(targets).where(eq(targets.name, name)).run());
    },
    snapshots: (target) =>
      read((db) =>
        db
          .select({ id: artifacts.id, at: artifacts.createdAt })
          .from(artifacts)
          .where(and(eq(artifacts.role, snapshotRole(target)), eq(artifacts.status, 'stored')))
          .orderBy(desc(artifacts.createdAt), desc(sql`rowid`))
          .all()
          .map(({ id, at }) => ({ reference: `artifact:${id}`, at })),
      ),
    async keepSecrets(staged) {
      await write((db) => {
        for (const secret of keep(staged)) db.insert(secrets).values(secret).run();
      });
    },
    secretsOf: (scope) =>
      read((db) =>
        db
          .select({ id: secrets.id, name: secrets.name, scope: secrets.scope, createdAt: secrets.createdAt, retiredAt: secrets.retiredAt })
          .from(secrets)
          .where(eq(secrets.scope, scope))
          .orderBy(asc(secrets.name))
          .all()
          .map(({ id, retiredAt, ...row }) => ({ ...row, reference: `secret:${id}`, retired: retiredAt !== null })),
      ),
  };
}

function toDokploy(row: typeof dokploys.$inferSelect): DokployRow {
  return { ...row, options: row.options as DokployOptions }; // written by addDokploy alone, in this shape
}

function toTarget(row: typeof targets.$inferSelect): TargetRow {
  return { ...row, record: row.record as Record<string, unknown> }; // written by addTarget and commit alone
}

function exists(code: string, what: string, name: string): AppError {
  return new AppError(code, {
    message: `There is a ${what} named ${name} already.`,
    fix: `Take another name, or remove it first: capstan ${what === 'target' ? 'targets' : 'dokploy'} remove ${name}.`,
  });
}
