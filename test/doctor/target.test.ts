/** A registered target on the sandbox, diagnosed through the product: settings by the Dokploy client, live probes over real TLS. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countFindings, type Finding, finding } from '../../src/doctor/findings.ts';
import { refusedLast } from '../../src/effects/doctor/gather.ts';
import { toResult } from '../../src/mcp/answer.ts';
import { diagnoseTarget } from '../../src/mcp/look-tools.ts';
import { changed } from '../../src/sandbox/instances/environments.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { connect } from '../helpers/mcp-clients.ts';
import { codeOf, me, openStage, type Stage } from '../helpers/wizard-stage.ts';

let sandbox: Sandbox;
let folder: string;
let stage: Stage;
let env: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-twin-'));
  sandbox = await startSandbox({ dataDir: folder });
  stage = await openStage(sandbox);
  const ready = await stage.toVerified('shop');
  expect((await stage.send(ready.runId, 'handover')).state).toBe('done');
  env = await savedEnvironment();
}, 120_000);
afterAll(async () => {
  await stage.close();
  await sandbox.stop({ discard: true });
  rmSync(folder, { recursive: true, force: true });
});

const composeId = () => sandbox.state().composes.find((row) => row.appName.startsWith('shop-'))?.composeId ?? '';
const headers = () => ({ 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' });

async function savedEnvironment(): Promise<string> {
  const row: unknown = await (await fetch(`${sandbox.url}/api/compose.one?composeId=${composeId()}`, { headers: headers() })).json();
  return String(Reflect.get(Object(row), 'env'));
}

async function post(procedure: string, body: object): Promise<void> {
  const { status } = await fetch(`${sandbox.url}/api/${procedure}`, { method: 'POST', headers: headers(), body: JSON.stringify(body) });
  expect(status).toBe(200);
}

const save = (text: string) => post('compose.saveEnvironment', { composeId: composeId(), env: text, createEnvFile: true });

/** What the tool answers, with nothing scrubbed but what the product itself leaves out. */
async function diagnosed() {
  const { app } = stage;
  const signal = new AbortController().signal;
  const answer = await diagnoseTarget.run(
    { target: 'shop' },
    {
      app,
      caller: me,
      signal,
      progress: () => {},
      handedOver: async ({ payload }) => ({ payload }),
      approved: async () => {
        throw new Error('a diagnosis needs no approval');
      },
    },
  );
  const { structuredContent = {} } = toResult(answer as Record<string, unknown>, { scrub: (text) => text }); // a diagnosis is never a question
  const text = JSON.stringify(structuredContent);
  for (const value of await secretsOfTarget()) expect(text.includes(value)).toBe(false);
  return { structuredContent, findings: finding.array().parse(structuredContent['findings']) };
}

async function secretsOfTarget(): Promise<string[]> {
  const { record } = await stage.app.registry.target('shop');
  const references = Object.values(Object(record['secrets'])).map(String);
  expect(references.length).toBeGreaterThan(8);
  return [sandbox.apiKey, ...(await Promise.all(references.map((reference) => stage.app.vault.reveal(reference))))];
}

const bad = (findings: Finding[]) => findings.filter(({ severity }) => severity === 'critical' || severity === 'error');
const writes = () => sandbox.journal().filter((entry) => entry.applied).length;

test('after the wizard nothing is critical and nothing is an error; the sandbox saw reads only', async () => {
  const before = writes();
  const { structuredContent, findings } = await diagnosed();
  expect(bad(findings)).toEqual([]);
  expect(findings.filter(({ code }) => code === 'UNKNOWN' || code === 'REALTIME_TENANT')).toEqual([]);
  expect(structuredContent).toMatchObject({
    target: 'shop',
    generation: { id: 'C' },
    notLookedAt: [],
    counts: { ...countFindings(findings) },
    next: { who: 'nobody' },
  });
  expect(structuredContent['summary']).toMatch(/0 critical, no error$/);
  expect(writes()).toBe(before);
});

test('the command line and a real MCP client say the same, without any secret', async () => {
  const ended = await capstan(stage.home, ['doctor', '--target', 'shop', '--json']);
  expect(ended.exit).toBe(0);
  const client = await connect('modern', { home: stage.home });
  try {
    const { structuredContent } = await client.raw('diagnose_target', { target: 'shop' });
    expect(Reflect.get(Object(structuredContent), 'findings')).toEqual(jsonOf(ended)['findings']);
    const told = ended.stdout + ended.stderr + JSON.stringify(structuredContent);
    for (const value of await secretsOfTarget()) expect(told.includes(value)).toBe(false);
  } finally {
    await client.close();
  }
});

test('http written into the addresses is named variable by variable', async () => {
  await save(env.replaceAll('https://', 'http://'));
  const { findings, structuredContent } = await diagnosed();
  const named = findings.filter(({ code }) => code === 'URL_NOT_HTTPS').map(({ at }) => at);
  expect(named).toEqual(expect.arrayContaining(['SUPABASE_PUBLIC_URL', 'API_EXTERNAL_URL', 'ADDITIONAL_REDIRECT_URLS']));
  expect(structuredContent['next']).toMatchObject({ who: 'human' });
  await save(env);
});

test('a changed database password and keys that were never deployed are told apart from the running instance', async () => {
  await save(changed(env, { POSTGRES_PASSWORD: 'changedpassword0123456789abcdef', POOLER_TENANT_ID: 'another-tenant' }));
  const changedPassword = (await diagnosed()).findings.map(({ code }) => code);
  expect(changedPassword).toEqual(expect.arrayContaining(['POSTGRES_PASSWORD_CHANGED', 'POOLER_TENANT_CHANGED']));
  await save(changed(env, { JWT_SECRET: 'anotherjwtsecretofmorethan32characters01' }));
  const codes = (await diagnosed()).findings.map(({ code }) => code);
  expect(codes).toEqual(expect.arrayContaining(['KEY_SIGNATURE', 'JWT_SECRET_STORED_DIFFERS']));
  await save(env);
});

test('a gateway with other keys is named as the side that is wrong', async () => {
  sandbox.setFaults(['bad-key']);
  await post('compose.redeploy', { composeId: composeId(), title: 't', description: 'd' });
  let live: Finding[] = [];
  do live = (await diagnosed()).findings.filter(({ code }) => code.startsWith('LIVE_'));
  while (live.length === 0 || live.some(({ code }) => code !== 'LIVE_GATEWAY'));
  expect(live.every(({ current, severity }) => current === 'side: gateway' && severity === 'critical')).toBe(true);
  sandbox.setFaults([]);
}, 60_000);

test('containers that cannot be listed are unknown, never healthy', async () => {
  sandbox.setFaults(['no-docker']);
  const { findings } = await diagnosed();
  expect(findings.some(({ code, severity }) => code === 'UNKNOWN' && severity === 'warning')).toBe(true);
  sandbox.setFaults([]);
});

test('without the service row there is no diagnosis: a refused key and an unknown target are errors', async () => {
  sandbox.setFaults(['expired-key']);
  expect(await codeOf(stage.app.diagnose('shop'))).toMatch(/^DOKPLOY_/);
  sandbox.setFaults([]);
  expect(await codeOf(stage.app.diagnose('nobody'))).toBe('TARGET_UNKNOWN');
  await stage.app.registry.addTarget({ name: 'cloudy', kind: 'cloud', tags: [], record: { url: 'https://x.example.com' } }, []);
  expect(await codeOf(stage.app.diagnose('cloudy'))).toBe('TARGET_NOT_ON_DOKPLOY');
});

test('a password refused among the last lines of a log counts, an old one does not', () => {
  const refusal = 'FATAL: password authentication failed for user "authenticator"';
  expect(refusedLast(`start\n${refusal}\n`)).toBe(true);
  expect(refusedLast(`${refusal}\n${'ready\n'.repeat(20)}`)).toBe(false);
});
