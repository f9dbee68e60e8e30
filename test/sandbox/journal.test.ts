import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openJournal, sanitise } from '../../src/sandbox/journal.ts';
import { blueprint, call, createService, deploy, openSandbox } from './client.ts';

test('every call and every job that ran leaves one entry, without a secret, also on disk', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'capstan-journal-'));
  const { sandbox, close } = await openSandbox({ dataDir });
  const { composeId } = await createService(sandbox, 'services:\n  web:\n    image: nginx\n');
  const secret = 'canary-8f2f1c';
  const token = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from('{"role":"anon"}').toString('base64url')}.c2ln`;
  const env = `POSTGRES_PASSWORD=${secret}\nANON_KEY=${token}`;
  await call(sandbox, 'compose.saveEnvironment', { composeId, env });
  await call(sandbox, 'compose.update', { composeId, description: token, composeFile: `services: {web: {image: ${secret}}}` });
  await call(sandbox, 'compose.import', { composeId, base64: await blueprint(sandbox, () => `# ${secret}\nservices: {}\n`) });
  await call(sandbox, 'project.all', undefined, { headers: { 'x-api-key': secret } });
  await deploy(sandbox, composeId, 'op-7');
  const journal = sandbox.journal();
  expect(journal.map((entry) => entry.n)).toEqual(journal.map((_entry, index) => index + 1));
  const saved = journal.find((entry) => entry.procedure === 'compose.saveEnvironment');
  expect(saved).toMatchObject({
    method: 'POST',
    status: 200,
    applied: true,
    identity: { composeId },
    body: { composeId, env: `[${env.length} characters]` },
  });
  expect(saved?.sha256).toBe(createHash('sha256').update(JSON.stringify({ composeId, env })).digest('hex'));
  expect(journal.find((entry) => entry.status === 401)).toMatchObject({ procedure: 'project.all', applied: false });
  expect(journal.filter((entry) => entry.procedure === 'job.deploy')).toMatchObject([
    { identity: { composeId }, body: { description: 'op-7' } },
  ]);
  const onDisk = readFileSync(join(dataDir, 'journal.jsonl'), 'utf8');
  expect(
    onDisk
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(journal);
  expect(onDisk).not.toContain(secret);
  expect(onDisk).not.toContain(token);
  await close();
});

test('a call that changed nothing says so', async () => {
  const { sandbox, close } = await openSandbox();
  await call(sandbox, 'compose.update', { composeId: 'nope', env: 'x=1' });
  await call(sandbox, 'project.create', {});
  await call(sandbox, 'project.all');
  expect(sandbox.journal().map(({ procedure, status, applied }) => ({ procedure, status, applied }))).toEqual([
    { procedure: 'compose.update', status: 200, applied: false },
    { procedure: 'project.create', status: 400, applied: false },
    { procedure: 'project.all', status: 200, applied: false },
  ]);
  await close();
});

test('numbering continues over a restart and a torn last line does no harm', () => {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-journal-'));
  const file = join(folder, 'journal.jsonl');
  const entry = { procedure: 'x', method: 'POST', status: 200, applied: true, identity: {}, body: {}, rawBody: '' };
  openJournal(file).add(entry);
  const second = openJournal(file);
  second.add(entry);
  expect(second.entries().map((one) => one.n)).toEqual([1, 2]);
  rmSync(folder, { recursive: true });
});

test('nested secrets and passwords in addresses are hidden, plain words stay', () => {
  expect(sanitise({ name: 'demo', list: [{ apiKey: 'abc' }], url: 'postgres://user:pass@host/db', n: 1 })).toEqual({
    name: 'demo',
    list: [{ apiKey: '[3 characters]' }],
    url: '[28 characters]',
    n: 1,
  });
});
