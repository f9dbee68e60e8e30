/**
 * Every workflow on a running instance, one path each: the process dies at the launch and at the answer of every effect and undo,
 * and the next one goes on. Judged by the sandbox's journal and by what stands there. The wizard has a suite of its own.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { AnyStateNode } from 'xstate';
import { type WorkflowName, workflows } from '../../machines/registry.ts';
import { type SandboxProcess, startSandboxProcess } from '../../src/demo/sandbox-process.ts';
import { countAppliedTwice } from '../../src/demo/verdicts.ts';
import type { Registry } from '../../src/store/registry.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { createChildren } from '../helpers/children.ts';
import { createKiller, type Walk } from '../helpers/killed-workflow.ts';
import { mainFile } from '../helpers/mcp-clients.ts';
import { withRegistry } from '../helpers/registered.ts';
import { type Scenario, type Seen, scenarios } from './scenarios.ts';

const children = createChildren();
const { throughDeaths, finish } = createKiller(children, () => sandbox.journal());
let folder: string;
let sandbox: SandboxProcess;
let postgres: TestPostgres | undefined;
const whyNoDatabase = whyWithout('pg_dump', 'pg_restore', 'zstd');
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-workflow-kills-'));
  const instances = [...new Set(Object.values(scenarios).map(({ instance }) => instance))];
  sandbox = await startSandboxProcess(mainFile, join(folder, 'sandbox'), instances);
}, 120_000);
afterEach(() => children.endAll());
afterAll(async () => {
  await sandbox.stop();
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Compose = { composeId: string; appName: string; environmentId: string; env: string; composeFile: string };

async function composes(): Promise<Compose[]> {
  const answer = await fetch(`${sandbox.url}/__sandbox/state`, { headers: { 'x-api-key': sandbox.apiKey } });
  return ((await answer.json()) as { composes: Compose[] }).composes; // leftovers() of the sandbox
}

async function serviceOf(instance: string): Promise<Compose | undefined> {
  const headers = { 'x-api-key': sandbox.apiKey };
  const composeId = (await composes()).find((row) => row.appName.startsWith(`${instance}-supabase-`))?.composeId;
  if (composeId === undefined) return undefined;
  return (await (await fetch(`${sandbox.url}/api/compose.one?composeId=${composeId}`, { headers })).json()) as Compose; // as a Dokploy answers
}

async function setFaults(faults: string[]): Promise<void> {
  const headers = { 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' };
  const answer = await fetch(`${sandbox.url}/__sandbox/faults`, { method: 'POST', headers, body: JSON.stringify({ faults }) });
  expect(await answer.json()).toEqual({ faults });
}

/** What a person could see changed there: texts, routes. */
async function standingOf(instance: string) {
  const service = await serviceOf(instance);
  if (!service) return 'nothing';
  const { env, composeFile, ...rest } = service as Compose & { domains?: { host: string; https: boolean }[] }; // as a Dokploy answers
  return { env, composeFile, domains: (rest.domains ?? []).map(({ host, https }) => `${https ? 'https' : 'http'}://${host}`).sort() };
}

/** A database of the scenario's own beside those of the others, made on a server that starts with the first of them. */
async function databaseFor(name: string, fill: string): Promise<string> {
  postgres ??= await startTestPostgres();
  const database = databaseOf(name);
  await postgres.sql(`create database ${database}`);
  await postgres.sql(fill, database);
  return postgres.url(database);
}
const databaseOf = (name: string) => name.replaceAll(/[^a-z]+/g, '_');

/** The file of the edge function that the template brings. */
async function functionOf(instance: string): Promise<string> {
  const { composeId = '' } = (await serviceOf(instance)) ?? {};
  return join(folder, 'sandbox', 'files', composeId, 'volumes', 'functions', 'hello', 'index.ts');
}

async function walkOf(name: string, scenario: Scenario): Promise<Walk> {
  const {
    instance,
    input,
    file,
    first,
    snapshot,
    newestBackup,
    forgets,
    database,
    laterFunction,
    password,
    faults,
    leaves,
    proof,
    ...task
  } = scenario;
  const workflow = name.replace(/:.*$/, '');
  const home = join(folder, databaseOf(name));
  await register(home, instance, {
    ...(database ? { databaseUrl: await databaseFor(name, database.fill) } : {}),
    ...(password ? { postgresPassword: /^POSTGRES_PASSWORD=(.*)$/m.exec((await serviceOf(instance))?.env ?? '')?.[1] ?? '' } : {}),
  });
  const walk = { ...task, home, workflow, name, input: { target: instance, ...input } };
  for (const [index, { workflow: earlier, input: firstInput, ...rest }] of (first ?? []).entries()) {
    const begun = { home, workflow: earlier, name: `${name} first ${index}`, input: { target: instance, ...firstInput } };
    expect(await finish({ ...begun, answers: rest.answers, until: rest.until })).toMatchObject({ state: rest.until });
  }
  if (forgets) await withRegistry(home, ({ registry }) => forget(registry, instance, forgets));
  if (database?.later) await postgres?.sql(database.later, databaseOf(name));
  if (laterFunction !== undefined) writeFileSync(await functionOf(instance), laterFunction);
  if (file) {
    const path = join(folder, `${workflow}.sql`);
    writeFileSync(path, file.text);
    Object.assign(walk.input, { [file.key]: path });
  }
  if (snapshot) {
    const [newest] = await withRegistry(home, ({ registry }) => registry.snapshots(instance));
    Object.assign(walk.input, { snapshot: newest?.reference });
  }
  if (newestBackup) {
    const [newest] = await withRegistry(home, ({ backups }) => backups.backups(instance));
    Object.assign(walk.input, { backup: newest?.id });
  }
  return walk;
}

async function forget(registry: Pick<Registry, 'target' | 'addTarget' | 'removeTarget'>, name: string, facts: string[]): Promise<void> {
  const { createdAt: _, ...row } = await registry.target(name);
  const kept = Object.entries(Object(row.record['facts'])).filter(([fact]) => !facts.includes(fact));
  await registry.removeTarget(name);
  await registry.addTarget({ ...row, record: { ...row.record, facts: Object.fromEntries(kept) } }, []);
}

async function register(home: string, instance: string, known: Record<string, string>): Promise<void> {
  const { url, apiKey, resolve, templateBaseUrl, caFile } = sandbox;
  const service = await serviceOf(instance);
  if (!service) throw new Error(`the sandbox has no instance ${instance}`);
  const { composeId, appName, environmentId } = service;
  await withRegistry(home, async ({ registry, vault }) => {
    const key = vault.stageSecret('dokploy:home', 'key', apiKey);
    const options = { ca: readFileSync(caFile, 'utf8'), resolve, templateBaseUrl };
    await registry.addDokploy({ name: 'home', url, keySecret: `secret:${key.id}`, options }, [key]);
    const record = {
      url: `https://${instance}.supabase.test`,
      dokploy: { name: 'home', projectId: '', environmentId, composeId, appName },
      secrets: {},
      facts: {},
    };
    const staged = Object.entries(known).map(([name, value]) => vault.stageSecret(`target:${instance}`, name, value));
    Object.assign(record.secrets, Object.fromEntries(staged.map(({ id, name }) => [name, `secret:${id}`])));
    await registry.addTarget({ name: instance, kind: 'dokploy', tags: [], record }, staged);
  });
}

/** Contracts by the ids under which the states of a workflow invoke them. */
function contractsOf(workflow: string): Map<string, string> {
  const { root } = workflows[workflow as WorkflowName].machine; // scenarios are named by registered workflows
  const within = (node: AnyStateNode): [string, string][] => [
    ...node.invoke.map(({ id, src }): [string, string] => [id, String(src)]),
    ...Object.values(node.states).flatMap((inner) => within(inner as AnyStateNode)), // `states` of any node holds nodes
  ];
  return new Map(within(root));
}

/** Contracts at whose launch and answer some scenario's process died. */
const killedAt = new Set<string>();

const seenOf = async (walk: Walk, { instance }: Scenario, end: Seen['end']): Promise<Seen> => ({
  home: walk.home,
  target: instance,
  end,
  database: databaseOf(walk.name),
  functionText: await readFile(await functionOf(instance), 'utf8').catch(() => undefined),
  services: async () => (await composes()).map(({ appName }) => appName),
  sql(text, database) {
    if (!postgres) throw new TypeError('a scenario without a database has none to look at');
    return postgres.sql(text, database);
  },
});

test.each(Object.entries(scenarios))(
  '%s, killed at the launch and the answer of every effect, ends as it would have, with nothing done twice',
  async (name, scenario) => {
    if (scenario.database && whyNoDatabase) return void console.warn(`${name} was not tried: ${whyNoDatabase}`);
    const walk = await walkOf(name, scenario);
    const before = await standingOf(scenario.instance);
    await setFaults(scenario.faults ?? []);
    const mark = (await sandbox.journal()).length; // earlier runs may have written the same text
    const end = await throughDeaths(walk);
    const goal = scenario.back ? scenario.back.to || 'cancelled' : scenario.until;
    const reached = scenario.back?.to === 0 ? end.status : end.state;
    expect({ reached, error: end.error?.split(':')[0], open: end.open }).toEqual({ reached: goal, error: scenario.error, open: 0 });
    expect(end.seqs).toEqual(end.seqs.map((_, index) => index + 1));
    const died = new Set(end.deaths.map((mark) => mark.replace(/@.*$/, '').replace(/^(undo:)?.*:/, '$1')));
    expect([...died].sort(), 'a death at every effect').toEqual(
      [...new Set([...end.begun, ...end.undone.map((id) => `undo:${id}`)])].sort(),
    );
    expect(countAppliedTwice((await sandbox.journal()).slice(mark))).toBe(0);
    const called = contractsOf(walk.workflow);
    for (const invokeId of end.begun) killedAt.add(called.get(invokeId) ?? invokeId);
    const after = await standingOf(scenario.instance);
    if (scenario.back) expect(end.undone.length).toBeGreaterThan(0);
    if (scenario.leaves === 'nothing') expect(after).toBe('nothing');
    else if (scenario.back || scenario.leaves === 'same') expect(after).toEqual(before);
    else expect(after).not.toEqual(before);
    await scenario.proof?.(await seenOf(walk, scenario, end));
  },
  400_000,
);

test.skipIf(whyNoDatabase)('no workflow has an effect at which no process was killed', () => {
  const { 'setup-supabase': _, ...others } = workflows; // has a suite of its own
  const never = Object.keys(others).flatMap((name) =>
    [...contractsOf(name).values()].filter((contract) => !killedAt.has(contract)).map((contract) => `${name}: ${contract}`),
  );
  expect(never).toEqual([]);
});
