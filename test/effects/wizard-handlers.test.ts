/** The handlers against the sandbox: every write is proven, repeated, taken back, and refuses what somebody else changed. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ContractName } from '../../machines/effects/registry.ts';
import { createDokployClient } from '../../src/effects/dokploy/client.ts';
import { createLimiter } from '../../src/effects/dokploy/rate-limit.ts';
import type { Handler } from '../../src/effects/handler.ts';
import { createHandlers } from '../../src/effects/handlers.ts';
import { queryThroughMeta } from '../../src/effects/supabase/sql.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { type Bench, createBench } from '../helpers/effect-context.ts';
import { send, start, type Walk, wanted } from '../machines/wizard-walk.ts';

let sandbox: Sandbox;
let runs = 0;

beforeAll(async () => {
  sandbox = await startSandbox({ dataDir: mkdtempSync(join(tmpdir(), 'capstan-handlers-')) });
}, 60_000);
afterAll(() => sandbox?.stop({ discard: true }), 60_000);

type Done = { contract: ContractName; key: string; input: unknown; before: unknown; output: unknown };

/** One run of the wizard by hand: the machine says what it wants, the handlers do it. */
function openRun(options: { healthTimeoutMs?: number; verifyPatienceMs?: number } = {}) {
  const id = `run${++runs}`;
  const name = `shop${runs}`;
  const connection = { name: 'home', url: sandbox.url, apiKey: sandbox.apiKey, reach: { ca: sandbox.ca, resolve: sandbox.resolve } };
  const bench: Bench = createBench(connection);
  const limiter = createLimiter({ perSecond: 1_000, burst: 1_000 });
  const all = createHandlers({ limiterFor: () => limiter, templateBaseUrlFor: async () => sandbox.templateBaseUrl, ...options });
  const client = createDokployClient(connection, { limiter });
  const done: Done[] = [];
  let walk: Walk = start();
  let entry = 1;
  const answers: { type: string; [key: string]: unknown }[] = [
    { type: 'connect', dokploy: 'home' },
    { type: 'name', name },
    { type: 'generate', maxConnections: 90 },
    { type: 'skipSmtp' },
    { type: 'domain', host: `${name}.test.org` },
    { type: 'approve' },
  ];
  const handlerOf = (contract: ContractName) => all[contract] as unknown as Handler<unknown, unknown, unknown>; // inputs come from the machine, checked by its types
  const keyOf = () => `${id}:${entry}:${wanted(walk).invokeId}`;
  async function prepareNow(): Promise<Done> {
    const { contract, input } = wanted(walk);
    const ctx = bench.contextFor(keyOf());
    return { contract, key: keyOf(), input, before: await handlerOf(contract).prepare?.(ctx, input), output: undefined };
  }
  async function step(): Promise<void> {
    entry += 1;
    if (walk.started.length === 0) {
      walk = send(walk, answers.shift() ?? { type: 'none' });
      return;
    }
    const { invokeId } = wanted(walk);
    const effect = await prepareNow();
    effect.output = await handlerOf(effect.contract).run(bench.contextFor(effect.key), effect.input, effect.before);
    done.push(effect);
    walk = send(walk, { type: `xstate.done.actor.${invokeId}`, output: effect.output });
  }
  async function goTo(state: string): Promise<void> {
    while (walk.state !== state) await step();
  }
  /** As if the authority of the gateway's certificate were not known: nothing that needs TLS can be asked. */
  const forgetCertificate = () => {
    connection.reach.ca = '';
  };
  const call = (effect: Done) => {
    const handler = handlerOf(effect.contract);
    const ctx = bench.contextFor(effect.key);
    return {
      run: () => handler.run(ctx, effect.input, effect.before),
      probe: () => handler.probe?.(ctx, effect.input, effect.before),
      mayUndo: () => handler.mayUndo?.(ctx, effect.input, effect.before, effect.output),
      undo: () => handler.undo?.(ctx, effect.input, effect.before, undefined),
    };
  };
  const of = (contract: ContractName) => {
    const found = done.find((effect) => effect.contract === contract);
    if (!found) throw new Error(`${contract} was not done`);
    return found;
  };
  async function undoAll(): Promise<void> {
    for (const effect of [...done].reverse()) if ('undo' in handlerOf(effect.contract)) await call(effect).undo();
  }
  const change = (type: string, fields: Record<string, unknown>) => {
    const at = answers.findIndex((answer) => answer.type === type);
    answers[at] = { type, ...fields };
  };
  return {
    answer: (event: { type: string }) => answers.push(event),
    rename: (other: string) => change('name', { name: other }),
    answerDomain: (host: string) => change('domain', { host }),
    forgetCertificate,
    name,
    bench,
    client,
    done,
    goTo,
    step,
    prepareNow,
    call,
    of,
    undoAll,
    state: () => walk.state,
    context: () => walk.context,
  };
}

const leftOf = (name: string) => JSON.stringify(sandbox.state()).includes(name);
const writes: ContractName[] = [
  'dokploy.createProject@1',
  'dokploy.createCompose@1',
  'dokploy.importTemplate@1',
  'dokploy.saveEnvironment@1',
  'dokploy.configureDomain@1',
  'dokploy.deployCompose@1',
];

afterEach(() => sandbox.setFaults([]));

describe('the whole way', () => {
  it('deploys, proves every check, probes each write as applied, and undoes all without leftovers', async () => {
    const run = openRun();
    await run.goTo('verified');
    expect(run.context().verification).toMatchObject({ verdict: 'passed', maxConnections: 90 });
    expect(run.context().verification?.checks.every((check) => check.ok)).toBe(true);
    expect(run.context().plan?.patches).toContain('realtime.environment.SELF_HOST_TENANT_NAME=realtime');
    for (const contract of writes) {
      const effect = run.of(contract);
      expect(await run.call(effect).probe(), contract).toEqual({ state: 'applied', output: effect.output });
    }
    expect(await run.call(run.of('dokploy.createCompose@1')).mayUndo()).toEqual({ ok: true });
    await run.undoAll();
    for (const contract of writes.filter((name) => name !== 'dokploy.deployCompose@1'))
      expect(await run.call(run.of(contract)).probe(), contract).toEqual({ state: 'absent' });
    expect(leftOf(run.name)).toBe(false);
  }, 60_000);

  it('shows no secret in plan, context, progress or outputs', async () => {
    const run = openRun();
    await run.goTo('deploying');
    const shown = JSON.stringify([
      run.context(),
      run.bench.progress,
      [...run.bench.artifacts.values()],
      run.done.map((effect) => effect.output),
    ]);
    expect(run.bench.secrets.size).toBe(12);
    for (const value of run.bench.secrets.values()) expect(shown).not.toContain(value);
    await run.undoAll();
  }, 30_000);

  it('hands over a target that holds references and strings without passwords', async () => {
    const run = openRun();
    await run.goTo('verified');
    run.answer({ type: 'handover' });
    await run.goTo('done');
    const [target] = run.bench.targets;
    expect(target).toMatchObject({
      name: run.name,
      kind: 'dokploy',
      tags: ['development'],
      dokploy: { name: 'home' },
      facts: { postgresMajor: 15 },
    });
    expect(target?.secrets['serviceRoleKey']).toMatch(/^secret:/);
    for (const value of run.bench.secrets.values()) expect(JSON.stringify(target)).not.toContain(value);
    await run.undoAll();
  }, 60_000);
});

describe('a write', () => {
  it.each([
    ['creatingProject', 'project.create'],
    ['creatingService', 'compose.create'],
    ['importingTemplate', 'compose.import'],
    ['writingEnvironment', 'compose.saveEnvironment'],
    ['routingDomain', 'domain.update'],
    ['deploying', 'compose.deploy'],
  ])(
    'in %s is probed as applied when only its answer was lost, and as absent when it never arrived',
    async (state, procedure) => {
      const run = openRun();
      await run.goTo(state);
      const effect = await run.prepareNow();
      sandbox.setFaults([`500-before:1@${procedure}`]);
      await expect(run.call(effect).run()).rejects.toMatchObject({ code: 'DOKPLOY_FAILED', applied: 'unknown', retry: 'later' });
      expect(await run.call(effect).probe()).toEqual({ state: 'absent' });
      sandbox.setFaults([`500-after:1@${procedure}`]);
      await expect(run.call(effect).run()).rejects.toMatchObject({ applied: 'unknown' });
      await expect.poll(async () => (await run.call(effect).probe())?.state, { timeout: 10_000 }).toBe('applied');
      if (state !== 'creatingProject' && state !== 'deploying') {
        expect(await run.call(effect).run(), 'run again, it finds its own work').toBeTruthy();
      }
      await run.call(effect).undo();
      if (state !== 'deploying') expect(await run.call(effect).probe()).toEqual({ state: 'absent' });
      await run.undoAll();
      expect(leftOf(run.name)).toBe(false);
    },
    60_000,
  );

  it('of a template that is only half there is partial, and is finished by running again', async () => {
    const run = openRun();
    await run.goTo('importingTemplate');
    const effect = await run.prepareNow();
    sandbox.setFaults(['half-write:1']);
    await expect(run.call(effect).run()).rejects.toMatchObject({ applied: 'unknown' });
    expect(await run.call(effect).probe()).toMatchObject({ state: 'partial' });
    expect(await run.call(effect).run()).toMatchObject({ domains: 1 });
    expect(await run.call(effect).probe()).toMatchObject({ state: 'applied' });
    await run.undoAll();
  }, 30_000);

  it('takes its content from the approved plan only', async () => {
    const run = openRun();
    await run.goTo('creatingProject');
    const effect = await run.prepareNow();
    for (const [reference, text] of run.bench.artifacts) run.bench.artifacts.set(reference, text.replace('"version": 1', '"version":  1'));
    await expect(run.call(effect).run()).rejects.toMatchObject({ code: 'PLAN_CHANGED' });
    expect(leftOf(run.name)).toBe(false);
  }, 30_000);
});

describe('somebody else’s edit', () => {
  const composeIdOf = (run: ReturnType<typeof openRun>) => run.context().service?.composeId ?? '';

  it('of the environment is never overwritten, neither by the write nor by its undo, and is shown masked', async () => {
    const run = openRun();
    await run.goTo('writingEnvironment');
    const effect = await run.prepareNow();
    const imported = (await run.client.composeOne(composeIdOf(run))).env ?? '';
    const theirs = imported
      .replace(/^SITE_URL=.*$/m, 'SITE_URL=https://theirs.org')
      .replace(/^JWT_SECRET=.*$/m, 'JWT_SECRET=their-secret-value');
    await run.client.saveEnvironment(composeIdOf(run), theirs);
    const failure = await run
      .call(effect)
      .run()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'CHANGED_BY_SOMEBODY_ELSE', retry: 'ask', applied: 'no' });
    expect(failure).toMatchObject({
      details: { variables: [{ variable: 'JWT_SECRET' }, { variable: 'SITE_URL', found: 'https://theirs.org' }] },
    });
    expect(JSON.stringify(failure)).not.toContain('their-secret-value');
    expect((await run.client.composeOne(composeIdOf(run))).env).toBe(theirs);
    await expect(run.call(effect).undo()).rejects.toMatchObject({ code: 'CHANGED_BY_SOMEBODY_ELSE' });
    expect(await run.call(effect).probe()).toMatchObject({ state: 'partial' });
    await run.client.saveEnvironment(composeIdOf(run), imported);
    await run.undoAll();
  }, 30_000);

  it('of the compose text stops import, deployment and undo', async () => {
    const run = openRun();
    await run.goTo('deploying');
    const deploy = await run.prepareNow();
    const ours = (await run.client.composeOne(composeIdOf(run))).composeFile;
    await run.client.updateCompose({ composeId: composeIdOf(run), composeFile: `${ours}# theirs\n` });
    const importing = run.of('dokploy.importTemplate@1');
    for (const work of [run.call(deploy).run, run.call(importing).run, run.call(importing).undo])
      await expect(work()).rejects.toMatchObject({ code: 'CHANGED_BY_SOMEBODY_ELSE', retry: 'ask' });
    await run.client.updateCompose({ composeId: composeIdOf(run), composeFile: ours });
    await run.undoAll();
    expect(leftOf(run.name)).toBe(false);
  }, 30_000);

  it('of the domain stops the write and its undo', async () => {
    const run = openRun();
    await run.goTo('routingDomain');
    const effect = await run.prepareNow();
    const [row] = await run.client.domains(composeIdOf(run));
    await run.client.updateDomain({ domainId: row?.domainId ?? '', host: 'theirs.org' });
    await expect(run.call(effect).run()).rejects.toMatchObject({ code: 'CHANGED_BY_SOMEBODY_ELSE', retry: 'ask' });
    await expect(run.call(effect).undo()).rejects.toMatchObject({ code: 'CHANGED_BY_SOMEBODY_ELSE' });
    expect((await run.client.domains(composeIdOf(run)))[0]?.host).toBe('theirs.org');
    await run.client.updateDomain({ domainId: row?.domainId ?? '', host: row?.host ?? '' });
    await run.undoAll();
  }, 30_000);

  it('in the project keeps the project', async () => {
    const run = openRun();
    await run.goTo('creatingService');
    const { projectId = '', environmentId = '' } = run.context().project ?? {};
    const guest = await run.client.createCompose({ name: 'guest', environmentId, appName: 'guest' });
    await expect(run.call(run.of('dokploy.createProject@1')).undo()).rejects.toMatchObject({ code: 'PROJECT_NOT_EMPTY', retry: 'ask' });
    expect((await run.client.project(projectId)).name).toBe(run.name);
    await run.client.deleteCompose({ composeId: guest.composeId, deleteVolumes: true });
    await run.undoAll();
  }, 30_000);
});

describe('an undo', () => {
  it('that Dokploy accepts and does not carry out is no success', async () => {
    const run = openRun();
    await run.goTo('importingTemplate');
    sandbox.setFaults(['keep-on-delete']);
    await expect(run.call(run.of('dokploy.createCompose@1')).undo()).rejects.toMatchObject({ code: 'UNDO_NOT_KEPT', retry: 'ask' });
    sandbox.setFaults([]);
    await run.undoAll();
    expect(leftOf(run.name)).toBe(false);
  }, 30_000);

  it('is refused while the database holds user data, asked through the gateway or, without certificate, in the container', async () => {
    const run = openRun();
    await run.goTo('verified');
    const { url = '' } = run.context().plan ?? {};
    const serviceKey = [...run.bench.secrets].find(([reference]) => reference.startsWith('secret:SERVICE_ROLE_KEY'))?.[1] ?? '';
    const access = { baseUrl: url, serviceKey, reach: { ca: sandbox.ca, resolve: sandbox.resolve } };
    await queryThroughMeta(access, 'create table public.orders (id int)');
    const service = run.call(run.of('dokploy.createCompose@1'));
    expect(await service.mayUndo()).toMatchObject({
      ok: false,
      code: 'USER_DATA_EXISTS',
      message: expect.stringContaining('1 table(s), 0 user(s), 0 stored object(s)'),
    });
    run.forgetCertificate();
    expect(await service.mayUndo(), 'in the container').toMatchObject({ ok: false, code: 'USER_DATA_EXISTS' });
    expect((await run.client.schedules(run.context().service?.composeId ?? '')).length).toBe(0);
    await queryThroughMeta(access, 'drop table public.orders');
    expect(await service.mayUndo(), 'in the container').toEqual({ ok: true });
    await run.call(run.of('dokploy.deployCompose@1')).undo();
    expect(await service.mayUndo(), 'stopped: nobody can be asked').toMatchObject({ ok: false, code: 'UNDO_STATE_UNKNOWN' });
    await run.undoAll();
  }, 60_000);

  it('of a service that was never deployed needs no question', async () => {
    const run = openRun();
    await run.goTo('deploying');
    expect(await run.call(run.of('dokploy.createCompose@1')).mayUndo()).toEqual({ ok: true });
    await run.undoAll();
  }, 30_000);
});

describe('a deployment', () => {
  it('whose job is lost says so and may be queued again', async () => {
    const run = openRun();
    await run.goTo('deploying');
    const effect = await run.prepareNow();
    sandbox.setFaults(['drop-job:1']);
    await expect(run.call(effect).run()).rejects.toMatchObject({ code: 'JOB_LOST', retry: 'later', applied: 'no' });
    expect(await run.call(effect).run()).toMatchObject({ status: 'done' });
    await run.undoAll();
  }, 60_000);

  it('that Dokploy calls failed is healthy when its containers are', async () => {
    const run = openRun();
    await run.goTo('deploying');
    sandbox.setFaults(['slow-boot']);
    await run.goTo('verified');
    expect(run.context().deployment?.status).toBe('error');
    await run.undoAll();
  }, 60_000);

  it('with an unhealthy service names it, with the log', async () => {
    const run = openRun({ healthTimeoutMs: 1_000 });
    await run.goTo('deploying');
    sandbox.setFaults(['unhealthy-db']);
    await run.step();
    await expect(run.step()).rejects.toMatchObject({
      code: 'DEPLOYMENT_UNHEALTHY',
      retry: 'never',
      message: expect.stringContaining('db (unhealthy)'),
      details: { log: expect.stringContaining('"') },
    });
    sandbox.setFaults([]);
    await run.undoAll();
  }, 60_000);

  it('whose containers cannot be listed is unknown, never healthy', async () => {
    const run = openRun({ healthTimeoutMs: 500 });
    await run.goTo('awaitingHealth');
    sandbox.setFaults(['no-docker']);
    await expect(run.step()).rejects.toMatchObject({ code: 'DEPLOYMENT_HEALTH_UNKNOWN' });
    sandbox.setFaults([]);
    await run.undoAll();
  }, 60_000);
});

describe('the proof', () => {
  it('fails, and soon, when the gateway has other keys', async () => {
    const run = openRun();
    await run.goTo('deploying');
    sandbox.setFaults(['bad-key']);
    await run.goTo('verificationFailed');
    expect(run.context().verification?.checks.find((check) => check.name === 'service-key-is-admin')).toMatchObject({
      ok: false,
      side: 'gateway',
    });
    sandbox.setFaults([]);
    await run.undoAll();
  }, 40_000);

  it('sends no key without a trusted certificate: those checks are not run', async () => {
    const run = openRun();
    await run.goTo('deploying');
    sandbox.setFaults(['no-certificate']);
    await run.goTo('awaitingCertificate');
    const checks = run.context().verification?.checks ?? [];
    expect(checks.map((check) => check.ok)).toEqual([false, null, null, null, null, null, null]);
    expect(await run.call(run.of('dokploy.createCompose@1')).mayUndo(), 'counted in the container').toEqual({ ok: true });
    await run.undoAll();
    expect(leftOf(run.name)).toBe(false);
  }, 40_000);
});

describe('a question before anything is created', () => {
  it('refuses a name and a host that are taken, with another name', async () => {
    const first = openRun();
    await first.goTo('deploying');
    const second = openRun();
    second.rename(first.name);
    await expect(second.goTo('planning')).rejects.toMatchObject({ code: 'NAME_TAKEN', details: { suggestion: `${first.name}-2` } });
    const third = openRun();
    third.answerDomain(`${first.name}.test.org`);
    await expect(third.goTo('planning')).rejects.toMatchObject({ code: 'DOMAIN_TAKEN' });
    await first.undoAll();
  }, 30_000);

  it.each([
    ['expired-key', 'DOKPLOY_', 'fetchingTemplate'],
    ['old-version', 'DOKPLOY_TOO_OLD', 'fetchingTemplate'],
    ['template-unreachable', 'TEMPLATE_UNREACHABLE', 'name'],
  ])('under %s fails with %s', async (fault, code, state) => {
    sandbox.setFaults([fault]);
    await expect(openRun().goTo(state)).rejects.toMatchObject({ code: expect.stringContaining(code) });
  });
});
