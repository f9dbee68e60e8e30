/**
 * A backup of what was in use, taken when it is out of everybody's reach and before anything replaces it. Invariants:
 * 1. It is an ordinary backup of the index, under the name that its database had in use, and stays there whatever comes after.
 * 2. It counts when it was read back whole: an unverified one is a failure, and what was written of a failed one is removed.
 */
import * as contract from '../../../machines/effects/restore.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { sha256Of } from './book.ts';
import { chooseCodec, extensionOf } from './codec.ts';
import { type BackupDeps, storeOf } from './deps.ts';
import { folderOf, manifestPath, readManifest } from './manifest.ts';
import { readText } from './pipeline.ts';
import { pointInTime, serverOf } from './plan-backup.ts';
import { discard, publishBackup } from './publish.ts';
import { beside, openPlan, type RestorePlan } from './restore-document.ts';
import { openBackup, verifyFiles } from './verify.ts';
import { writePart } from './write-part.ts';

type Safe = { backup: string; bytes: number; tables: number; rows: number; place: string; tookMs: number };
type Before = { id: string; store: string };

export function safetyBackup(deps: BackupDeps) {
  return defineHandler(contract.safetyBackup, {
    async prepare(ctx, input): Promise<Before> {
      const { plan } = await openPlan(ctx, input);
      const stamp = new Date(ctx.now()).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
      const { store } = await deps.backups.backup(plan.backup);
      return { id: `${plan.target.slice(0, 64)}-${stamp}-safety-${ctx.runId.replaceAll(/[^A-Za-z0-9]/g, '').slice(-6)}`, store };
    },
    async run(ctx, input, before: Before): Promise<Safe> {
      const began = ctx.now();
      const { plan } = await openPlan(ctx, input);
      try {
        return await verified(deps, ctx, plan, before, await write(deps, ctx, input, plan, before), began);
      } catch (error) {
        await discard(deps)
          .run({ ...ctx, signal: AbortSignal.timeout(60_000) }, { ...before, target: plan.target }, { files: [] })
          .catch(() => undefined); // what stays has no manifest; the next attempt writes over it
        throw error;
      }
    },
    async probe(ctx, input, before: Before): Promise<Probe<Safe>> {
      const { plan } = await openPlan(ctx, input);
      const store = await storeOf(deps, ctx, before.store);
      const text = await readText(store, manifestPath(plan.target, before.id));
      if (text !== undefined) {
        const manifest = readManifest(text);
        const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
        const manifestSha256 = sha256Of(text);
        ctx.saveBackup({
          put: {
            ...before,
            target: plan.target,
            kind: manifest.kind,
            keyId: manifest.encryption.keyId,
            bytes,
            manifestSha256,
            manifest,
            madeAt: Date.parse(manifest.madeAt),
            verifiedAt: null,
          },
        });
        const place = `${store.place}: ${folderOf(plan.target, before.id)}`;
        return { state: 'applied', output: await verified(deps, ctx, plan, before, { bytes, manifestSha256, place }, ctx.now()) };
      }
      const there = await store.list(folderOf(plan.target, before.id));
      return there.length === 0 ? { state: 'absent' } : { state: 'partial', say: 'the safety backup was begun and not finished.' };
    },
  });
}

type Published = { bytes: number; manifestSha256: string; place: string };

async function write(
  deps: BackupDeps,
  ctx: EffectContext,
  input: { plan: string; planHash: string },
  plan: RestorePlan,
  { id, store }: Before,
): Promise<Published> {
  const [key] = await deps.backups.keys();
  if (!key)
    throw new AppError('BACKUP_KEY_UNKNOWN', {
      message: 'This home has no key for backups, so what is in use cannot be backed up before it is replaced.',
      fix: 'Make one backup first, or import a recovery sheet: capstan key import --file SHEET.',
    });
  const { place } = await openPlan(ctx, input);
  const { server, archiving } = await beside(place, ctx, plan, async (client) => ({
    server: await serverOf(client),
    archiving: await pointInTime(client),
  }));
  const { codec } = await chooseCodec();
  const scope = { id, target: plan.target, store, kind: 'full' as const, codec, keyId: key.keyId };
  const file = (part: string, ending: string) => `${part}.${ending}.${extensionOf[codec]}.pgp`;
  const parts = [
    { part: 'roles', kind: 'roles' as const, database: null, file: file('roles', 'sql'), expectBytes: null },
    {
      part: `database ${plan.database}`,
      kind: 'database' as const,
      database: plan.keepAs,
      file: file('database-0', 'dump'),
      expectBytes: null,
    },
  ];
  const written = [];
  for (const part of parts) {
    const done = await writePart(deps, async () => ({ ...place, database: plan.keepAs ?? place.database })).run(
      ctx,
      { ...scope, part },
      { there: [] },
    );
    written.push({ ...done, database: part.database === null ? null : plan.database });
  }
  return publishBackup(deps).run(
    ctx,
    {
      ...scope,
      server,
      services: {},
      missing: [{ part: 'other parts', why: 'A safety backup holds roles and the database that is replaced.' }],
      pointInTime: archiving,
      written,
    },
    { manifest: false },
  );
}

/** Throws what a damaged backup throws. */
async function verified(
  deps: BackupDeps,
  ctx: EffectContext,
  plan: RestorePlan,
  { id, store }: Before,
  { bytes, manifestSha256, place }: Published,
  began: number,
): Promise<Safe> {
  const opened = await openBackup(deps, ctx, { id, target: plan.target, store, manifestSha256 });
  const { tables, rows } = await verifyFiles(ctx, opened);
  ctx.saveBackup({ verified: id, at: ctx.now() });
  return { backup: id, bytes, tables, rows, place, tookMs: ctx.now() - began };
}
