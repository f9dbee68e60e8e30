/** Backups by the clock, on the real app with a target that nobody answers for: what is judged is what was started, and what was refused. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBackupSchedules } from '../../src/backup-schedules.ts';
import { systemClock } from '../../src/clock.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';

let at: BackupApp;
let now: number;
beforeEach(async () => {
  at = await openBackupApp();
  await at.addTarget('shop', 'postgres://supabase_admin:canary-password@127.0.0.1:9/postgres');
  now = Date.parse('2026-11-25T12:00:00Z');
});
afterEach(async () => {
  await at.close();
  removeHome(at.home);
});

/** As a worker of this home sees them at `now`. */
const worker = () =>
  createBackupSchedules({
    desk: at.app,
    engine: at.app.engine,
    keyEscrowed: at.app.keyEscrowed,
    clock: { ...systemClock, now: () => now },
    log: createLog({ level: 'silent', scrubber: createScrubber() }),
  });
const order = { name: 'nightly', cron: '30 3 * * *', timezone: 'Europe/Berlin', input: { target: 'shop' } };
const escrow = async () => {
  await at.app.backupKeys.rotate();
  await at.app.backups.confirmKeys((await at.app.backups.keys()).map(({ keyId }) => keyId));
};

test('nothing is scheduled before the key is kept elsewhere', async () => {
  await expect(worker().add(order)).rejects.toMatchObject({ code: 'KEY_NOT_ESCROWED' });
  await at.app.backupKeys.rotate();
  await expect(worker().add(order)).rejects.toMatchObject({ code: 'KEY_NOT_ESCROWED' });
  expect(await worker().list()).toEqual([]);
});

test('a due backup is started once, by one of several workers, at the hour of its own time zone', async () => {
  await escrow();
  const { dueAt } = await worker().add(order);
  expect(new Date(dueAt).toISOString()).toBe('2026-11-26T02:30:00.000Z');
  expect(await worker().startDue()).toEqual([]);
  now = dueAt + 3 * 24 * 60 * 60_000; // nobody worked for three days
  const started = await Promise.all([worker().startDue(), worker().startDue(), worker().startDue()]);
  expect(started.flat()).toEqual(['nightly']);
  expect(await worker().startDue()).toEqual([]);
  const runs = await at.app.engine.list({ limit: 10 });
  expect(runs.map(({ workflow }) => workflow)).toEqual(['backup']);
  expect(new Date((await worker().list())[0]?.dueAt ?? 0).toISOString()).toBe('2026-11-30T02:30:00.000Z');
});

test('a rotation stops the clock until the new sheet is confirmed', async () => {
  await escrow();
  const { dueAt } = await worker().add(order);
  await at.app.backupKeys.rotate();
  now = dueAt;
  expect(await worker().startDue()).toEqual([]);
  expect((await worker().list())[0]?.last).toMatchObject({ refused: 'KEY_NOT_ESCROWED' });
});

test('a time that never comes, and a target that is not known, are refused', async () => {
  await escrow();
  await expect(worker().add({ ...order, cron: 'every day' })).rejects.toMatchObject({ code: 'CRON_INVALID' });
  await expect(worker().add({ ...order, timezone: 'Mars/Base' })).rejects.toMatchObject({ code: 'CRON_INVALID' });
  await expect(worker().add({ ...order, input: { target: 'nobody' } })).rejects.toMatchObject({ code: 'TARGET_UNKNOWN' });
});
