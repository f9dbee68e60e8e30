/** Every effect of the wizard × every kill point, in real processes on a sandbox of its own process; judged by the sandbox's journal and state. */
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { SMTPServer } from 'smtp-server';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import { type SandboxProcess, startSandboxProcess } from '../../src/demo/sandbox-process.ts';
import { countAppliedTwice, leftoversOf } from '../../src/demo/verdicts.ts';
import { createAuthority } from '../helpers/certificates.ts';
import { createChildren } from '../helpers/children.ts';
import { createKiller, type Walk } from '../helpers/killed-workflow.ts';
import { mainFile } from '../helpers/mcp-clients.ts';
import { withRegistry } from '../helpers/registered.ts';

const authority = createAuthority('Mail CA');
const mailPass = 'mailPassCanary77';
const children = createChildren();
let folder: string;
let sandbox: SandboxProcess;
let mail: SMTPServer;
let mailPort = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-kills-'));
  sandbox = await startSandboxProcess(mainFile, join(folder, 'sandbox'));
  mail = new SMTPServer({
    ...authority.issue({ names: ['mail.test'] }),
    onAuth: ({ username, password }, _session, done) =>
      password === mailPass ? done(null, { user: username ?? '' }) : done(new Error('bad login')),
  });
  mail.on('error', () => undefined); // a killed client leaves its connection in the middle
  await new Promise<void>((resolve) => mail.listen(0, '127.0.0.1', resolve));
  const address = mail.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  mailPort = address.port;
});
afterEach(() => children.endAll());
afterAll(async () => {
  await new Promise<void>((resolve) => mail.close(resolve));
  await sandbox.stop();
  rmSync(folder, { recursive: true, force: true });
});

const killer = createKiller(children, () => sandbox.journal(), { CAPSTAN_TEST_MAIL_PASS: mailPass });
const { killAtEach, finish } = killer;

type Led = { name: string; until: 'verified' | 'done' | 'name'; deadlineMs?: number };

/** The wizard's way; `name` means: deploy, then roll back to the name step. */
async function wizard({ name, until, ...more }: Led): Promise<Walk> {
  const home = join(folder, name);
  await addDokploy(home);
  const mail = { host: 'mail.test', port: 587, user: 'mailer@example.test', pass: 'env:CAPSTAN_TEST_MAIL_PASS' };
  return {
    ...more,
    home,
    workflow: 'setup-supabase',
    name,
    input: { dokploy: 'home' },
    answers: {
      name: ['name', { name }],
      secrets: ['generate'],
      smtp: ['smtp', { ...mail, adminEmail: 'admin@example.test', senderName: 'Test' }],
      domain: ['domain', { host: `${name}.supabase.test` }],
      review: ['approve'],
      verified: ['handover'],
    },
    until,
    ...(until === 'name' ? { back: { from: 'verified', to: 'name' } } : {}),
  };
}

/** Registered once per home, before any process that is killed. */
async function addDokploy(home: string): Promise<void> {
  const { url, apiKey, resolve, templateBaseUrl, caFile } = sandbox;
  const ca = `${readFileSync(caFile, 'utf8')}\n${authority.ca}`;
  const options = { ca, resolve: [...resolve, `mail.test:587:127.0.0.1:${mailPort}`], templateBaseUrl };
  await withRegistry(home, async ({ registry, vault }) => {
    if ((await registry.dokploys()).length > 0) return;
    const key = vault.stageSecret('dokploy:home', 'key', apiKey);
    await registry.addDokploy({ name: 'home', url, keySecret: `secret:${key.id}`, options }, [key]);
  });
}

const standing = async (): Promise<{ projects: { name: string }[]; composes: { appName: string }[]; domains: { host: string }[] }> => {
  const answer = await fetch(`${sandbox.url}/__sandbox/state`, { headers: { 'x-api-key': sandbox.apiKey } });
  return (await answer.json()) as Awaited<ReturnType<typeof standing>>; // leftovers() of the sandbox
};
const deploysOf = async (runId: string) =>
  (await sandbox.journal()).filter(
    (entry) => entry.procedure === 'job.deploy' && entry.applied && JSON.stringify(entry.body).includes(runId),
  );

/** Exactly one of everything that this run makes stands on the server, and nothing was applied twice. */
async function expectOneInstance(name: string, runId: string): Promise<void> {
  expect(countAppliedTwice(await sandbox.journal())).toBe(0);
  expect(await deploysOf(runId)).toHaveLength(1);
  const { projects, composes, domains } = await standing();
  expect(projects.filter((row) => row.name === name)).toHaveLength(1);
  expect(composes.filter((row) => row.appName.startsWith(`${name}-`))).toHaveLength(1);
  expect(domains.filter((row) => row.host === `${name}.supabase.test`)).toHaveLength(1);
  expect(leftoversOf(await sandbox.journal(), runId)).toHaveLength(2);
}

const mutating = ['createProject', 'createService', 'importTemplate', 'writeEnvironment', 'routeDomain', 'deploy'];
const asking = ['checkDokploy', 'fetchTemplate', 'checkName', 'generateSecrets', 'testSmtp', 'checkDomain', 'plan'];
const proving = ['awaitHealth', 'verify', 'handOver'];
const all = [...asking, ...mutating, ...proving];

test('the lists below name every effect of the wizard', () => {
  const invokes = Object.values(workflows['setup-supabase'].machine.states).flatMap((state) =>
    state.invoke.map(({ id, src }) => ({ id, src })),
  );
  const isMutating = ({ src }: { src: unknown }) => {
    const contract = Object.values(contracts).find(({ name }) => name === src);
    return contract !== undefined && !('readOnly' in contract) && !('local' in contract);
  };
  expect(invokes.map((invoke) => invoke.id).sort()).toEqual([...all, 'awaitCertificate'].sort());
  expect(invokes.filter(isMutating).map((invoke) => invoke.id)).toEqual(mutating);
});

test.each([
  ['before-intent', all],
  ['after-intent', all],
  ['after-launch', mutating],
  ['after-run', all],
  ['after-outcome', all],
] as const)(
  'killed %s of each effect in turn, the wizard still ends handed over with one of everything',
  async (point, effects) => {
    const name = `k-${point}`;
    const walk = await wizard({ name, until: 'done' });
    await killAtEach(walk, point, effects);
    const end = await finish(walk);
    expect(end).toMatchObject({ state: 'done', status: 'done' });
    await expectOneInstance(name, end.runId);
  },
  180_000,
);

test('killed while the certificate is awaited and after it came, the next process goes on to verified', async () => {
  await sandbox.setFaults(['slow-certificate']);
  const name = 'k-certificate';
  const walk = await wizard({ name, until: 'verified' });
  await killAtEach(walk, 'after-intent', ['awaitCertificate']);
  await sandbox.setFaults([]);
  await killAtEach(walk, 'after-run', ['awaitCertificate']);
  const end = await finish(walk);
  expect(end).toMatchObject({ state: 'verified', status: 'waiting' });
  await expectOneInstance(name, end.runId);
}, 120_000);

test('an older copy of the ledger is put back after the deployment: what it made is found or asked about, never made twice', async () => {
  const name = 'k-older-copy';
  const database = join(folder, name, 'capstan.db');
  const walk = await wizard({ name, until: 'verified' });
  await killAtEach(walk, 'before-intent', ['createProject']);
  const ledger = new Database(database);
  ledger.prepare('vacuum into ?').run(`${database}.copy`);
  ledger.close();
  await finish(walk);
  for (const ending of ['-wal', '-shm']) rmSync(`${database}${ending}`, { force: true });
  renameSync(`${database}.copy`, database);
  // The copy holds no before-images of what came after it: where a probe needs one, a person is asked.
  const end = await killer.goOn({ ...walk, deadlineMs: 10_000 });
  if (end.state !== 'verified')
    expect(end).toMatchObject({ status: 'needs_attention', error: expect.stringMatching(/^OUTCOME_UNKNOWN: /) });
  await expectOneInstance(name, end.runId);
}, 120_000);

test.each(['undo-launched', 'undo-run'] as const)(
  'killed %s of each undo in turn, the rollback still ends at the name step with nothing left',
  async (point) => {
    const name = `k-${point}`;
    const undone = [...mutating].reverse();
    const walk = await wizard({ name, until: 'name' });
    await killAtEach(walk, point, undone);
    const end = await finish(walk);
    expect(end).toMatchObject({ state: 'name', status: 'waiting', undone });
    expect(leftoversOf(await sandbox.journal(), end.runId)).toEqual([]);
    const { projects, composes, domains } = await standing();
    expect(projects.filter((row) => row.name === name)).toEqual([]);
    expect(composes.filter((row) => row.appName.startsWith(`${name}-`))).toEqual([]);
    expect(domains.filter((row) => row.host === `${name}.supabase.test`)).toEqual([]);
  },
  180_000,
);
