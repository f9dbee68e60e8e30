/** A deployment that never ends, played to the end of every patience with a clock that runs a hundredfold meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import { openHouse } from '../../src/house.ts';
import { createLog } from '../../src/log.ts';
import { startSandbox } from '../../src/sandbox/start.ts';
import { createScrubber } from '../../src/scrub.ts';
import { fastClock } from '../helpers/fast-clock.ts';
import { composeApi, composeIdOf, sqlInContainer } from '../helpers/sandbox-calls.ts';
import { me, person } from '../helpers/wizard-stage.ts';

test('after its patience and its deadline the run needs a person, nothing is lost, and with Dokploy restarted a retry ends it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-stuck-'));
  const options = { dataDir: join(folder, 'twin'), instances: ['gen-c'] };
  let sandbox = await startSandbox(options);
  const ports = {
    port: Number(new URL(sandbox.url).port),
    gatewayHttpsPort: sandbox.gateway.httpsPort,
    gatewayHttpPort: sandbox.gateway.httpPort,
  };
  const clock = fastClock();
  const scrubber = createScrubber();
  const book = { workflows: Object.values(workflows), contracts, handlers: {} };
  const desk = await openHouse({ home: join(folder, 'home'), book, log: createLog({ level: 'silent', scrubber }), scrubber, clock });
  try {
    const { engine, registry, vault } = desk;
    const key = vault.stageSecret('dokploy:home', 'key', sandbox.apiKey);
    const { url, ca, resolve, templateBaseUrl } = sandbox;
    await registry.addDokploy({ name: 'home', url, keySecret: `secret:${key.id}`, options: { ca, resolve, templateBaseUrl } }, [key]);
    const row = sandbox.state().composes.find(({ composeId }) => composeId === composeIdOf(sandbox, 'gen-c'));
    const dokploy = {
      name: 'home',
      projectId: '',
      environmentId: row?.environmentId ?? '',
      composeId: row?.composeId ?? '',
      appName: row?.appName ?? '',
    };
    await registry.addTarget({ name: 'gen-c', kind: 'dokploy', tags: [], record: { url: '', dokploy, secrets: {}, facts: {} } }, []);
    desk.worker.start();
    await sqlInContainer(
      sandbox,
      'gen-c',
      'create table public.kept (id int); insert into public.kept select generate_series(1, 100)',
      'postgres',
    );
    const before = await composeApi(sandbox, 'gen-c').env();

    const { runId } = await engine.start({ workflow: 'update-env', input: { target: 'gen-c', set: { JWT_EXPIRY: '333' } } }, me);
    const review = await engine.waitFor(runId, { waitMs: 60_000 });
    expect({ state: review.state, error: review.error }).toEqual({ state: 'review', error: undefined });
    sandbox.setFaults(['stuck-deploy:1']);
    await engine.advance({ run: runId, event: 'approve' }, me).catch(() => undefined); // it asks for approval
    await engine.approve((await engine.pendingApprovals(runId)).at(-1)?.id ?? '', person);
    const deployments = async () => (await composeApi(sandbox, 'gen-c').deployments()).filter(({ status }) => status === 'running').length;
    await expect.poll(deployments, { timeout: 60_000, interval: 100 }).toBe(1);
    const started = clock.now();
    clock.pace(100);
    await expect.poll(async () => (await engine.inspect(runId)).status, { timeout: 90_000, interval: 200 }).toBe('needs_attention');
    clock.pace(1);
    const stuck = await engine.inspect(runId);
    expect(stuck.state).toBe('deploying');
    expect(stuck.error).toMatchObject({ fix: expect.stringMatching(/\w/), message: expect.stringMatching(/\w/) });
    expect((clock.now() - started) / 60_000).toBeGreaterThan(35); // the deadline of 40 minutes began before the deployment was seen

    const after = await composeApi(sandbox, 'gen-c').env();
    expect(after).toBe(before.replace(/^JWT_EXPIRY=.*$/m, 'JWT_EXPIRY=333'));
    expect(await sqlInContainer(sandbox, 'gen-c', 'select count(*) from public.kept', 'postgres')).toEqual([['100']]);
    // As the error says: a restart of Dokploy ends a deployment that hangs.
    await sandbox.stop();
    sandbox = await startSandbox({ ...options, ...ports });
    const effect = (await desk.store.effects(runId)).find(({ contract }) => contract === 'dokploy.redeploy@1')?.key ?? '';
    await engine.resolve({ run: runId, effect, as: 'retry', note: 'Dokploy was restarted' }, me);
    const ended = await engine.waitFor(runId, { waitMs: 60_000 });
    expect(ended).toMatchObject({ state: 'changeFailed', error: { code: 'DEPLOYMENT_STUCK' } });
    await engine.advance({ run: runId, event: 'retry' }, me);
    const done = await engine.waitFor(runId, { waitMs: 60_000 });
    expect({ state: done.state, error: done.error }).toEqual({ state: 'done', error: undefined });
    expect(await sqlInContainer(sandbox, 'gen-c', 'select count(*) from public.kept', 'postgres')).toEqual([['100']]);
  } finally {
    await desk.worker.stop(1_500);
    desk.close();
    await sandbox.stop({ discard: true });
    rmSync(folder, { recursive: true, force: true });
  }
}, 240_000);
