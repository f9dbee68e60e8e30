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
import { mainFile } from '../helpers/mcp-clients.ts';
import type { WizardEnd, WizardTask } from '../helpers/wizard-process.ts';

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

type Walk = Pick<WizardTask, 'name' | 'until' | 'point' | 'effect' | 'deadlineMs'>;

function startWizard(walk: Walk) {
  const { url, apiKey, resolve, templateBaseUrl, caFile } = sandbox;
  const ca = `${readFileSync(caFile, 'utf8')}\n${authority.ca}`;
  const dokploy = { url, apiKey, ca, resolve: [...resolve, `mail.test:587:127.0.0.1:${mailPort}`], templateBaseUrl };
  const task: WizardTask = { ...walk, home: join(folder, walk.name), dokploy };
  return children.start('wizard-process', [], {
    env: { CAPSTAN_TEST_WIZARD: JSON.stringify(task), CAPSTAN_TEST_MAIL_PASS: mailPass },
  });
}

/** Dies at each effect in turn, each process going on where the last one died. */
async function killAtEach(walk: Omit<Walk, 'effect'>, effects: readonly string[]): Promise<void> {
  for (const effect of effects) {
    const child = startWizard({ ...walk, effect });
    const { signal } = await child.ended;
    expect({ effect, signal, stderr: child.stderr() }).toEqual({ effect, signal: 'SIGKILL', stderr: '' });
    expect(countAppliedTwice(await sandbox.journal()), `after ${walk.point} of ${effect}`).toBe(0);
  }
}

async function goOn(walk: Walk): Promise<WizardEnd> {
  const child = startWizard(walk);
  const end: WizardEnd = JSON.parse(await child.line()); // printed by wizard-process.ts in this shape
  expect(await child.ended).toEqual({ code: 0, signal: null });
  expect(end.seqs, 'events are dense').toEqual(end.seqs.map((_, index) => index + 1));
  return end;
}

async function finish(walk: Walk): Promise<WizardEnd> {
  const end = await goOn(walk);
  expect(end.open, 'nothing is open').toBe(0);
  return end;
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
    await killAtEach({ name, until: 'done', point }, effects);
    const end = await finish({ name, until: 'done' });
    expect(end).toMatchObject({ state: 'done', status: 'done' });
    await expectOneInstance(name, end.runId);
  },
  180_000,
);

test('killed while the certificate is awaited and after it came, the next process goes on to verified', async () => {
  await sandbox.setFaults(['slow-certificate']);
  const name = 'k-certificate';
  const child = startWizard({ name, until: 'verified', point: 'after-intent', effect: 'awaitCertificate' });
  expect(await child.ended).toEqual({ code: null, signal: 'SIGKILL' });
  await sandbox.setFaults([]);
  await killAtEach({ name, until: 'verified', point: 'after-run' }, ['awaitCertificate']);
  const end = await finish({ name, until: 'verified' });
  expect(end).toMatchObject({ state: 'verified', status: 'waiting' });
  await expectOneInstance(name, end.runId);
}, 120_000);

test('an older copy of the ledger is put back after the deployment: what it made is found or asked about, never made twice', async () => {
  const name = 'k-older-copy';
  const database = join(folder, name, 'capstan.db');
  await killAtEach({ name, until: 'verified', point: 'before-intent' }, ['createProject']);
  const ledger = new Database(database);
  ledger.prepare('vacuum into ?').run(`${database}.copy`);
  ledger.close();
  await finish({ name, until: 'verified' });
  for (const ending of ['-wal', '-shm']) rmSync(`${database}${ending}`, { force: true });
  renameSync(`${database}.copy`, database);
  // The copy holds no before-images of what came after it: where a probe needs one, a person is asked.
  const end = await goOn({ name, until: 'verified', deadlineMs: 10_000 });
  if (end.state !== 'verified')
    expect(end).toMatchObject({ status: 'needs_attention', error: expect.stringMatching(/^OUTCOME_UNKNOWN: /) });
  await expectOneInstance(name, end.runId);
}, 120_000);

test.each(['undo-launched', 'undo-run'])(
  'killed %s of each undo in turn, the rollback still ends at the name step with nothing left',
  async (point) => {
    const name = `k-${point}`;
    const undone = [...mutating].reverse();
    await killAtEach({ name, until: 'name', point }, undone);
    const end = await finish({ name, until: 'name' });
    expect(end).toMatchObject({ state: 'name', status: 'waiting', undone });
    expect(leftoversOf(await sandbox.journal(), end.runId)).toEqual([]);
    const { projects, composes, domains } = await standing();
    expect(projects.filter((row) => row.name === name)).toEqual([]);
    expect(composes.filter((row) => row.appName.startsWith(`${name}-`))).toEqual([]);
    expect(domains.filter((row) => row.host === `${name}.supabase.test`)).toEqual([]);
  },
  180_000,
);
