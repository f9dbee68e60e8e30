/** A client that cannot ask its person finishes the wizard all the same: a person answers on the page, in a real browser (design §5, §6). */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { browserMustRun, openBrowser, whyNoBrowser } from '../helpers/browser.ts';
import { connect, type TestClient } from '../helpers/mcp-clients.ts';
import { openStage } from '../helpers/wizard-stage.ts';

const why = whyNoBrowser();
const inBrowser = why === undefined || browserMustRun ? test : test.skip;
const suffix = why === undefined ? '' : ` (skipped: ${why})`;
const canary = 'canary-mail-pass-93d1';

let folder: string;
let home: string;
let sandbox: Sandbox;
let browser: Browser | undefined;
let client: TestClient | undefined;
const outside: string[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-twin-'));
  sandbox = await startSandbox({ dataDir: folder });
  if (why === undefined || browserMustRun) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await sandbox.stop({ discard: true });
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'capstan-page-'));
  const stage = await openStage(sandbox, home);
  await stage.app.worker.stop(500);
  stage.app.close();
});
afterEach(async () => {
  await client?.close();
  rmSync(home, { recursive: true, force: true });
});

/** A page that may talk to its own address only, and notes whatever else it would ask for. */
async function openPage(url: string): Promise<Page> {
  const page = await (await browser?.newContext({ viewport: { width: 1000, height: 900 } }))?.newPage();
  if (!page) throw new Error('no browser');
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) outside.push(request.url());
  });
  page.on('console', (message) => {
    if (!message.text().startsWith('Failed to load resource')) outside.push(`console: ${message.text()}`); // a refused form is told there too
  });
  await page.goto(url);
  return page;
}
const pageOf = (next: Record<string, unknown>): string => String(next['page']);
const deployed = () => sandbox.journal().filter((entry) => entry.applied && entry.procedure === 'compose.create').length;

inBrowser(
  `a client without elicitation finishes the wizard through the page${suffix}`,
  async () => {
    client = await connect('legacy', { home });
    const { runId } = await client.call('start_workflow', {
      workflow: 'setup-supabase',
      name: 'paged',
      input: { dokploy: 'home' },
      waitMs: 30_000,
    });
    const send = (event: string, payload = {}) => client?.call('advance_run', { run: runId, event, payload, waitMs: 45_000 });
    await send('name', { name: 'paged' });
    await send('generate');
    await send('skipSmtp');
    expect(await send('domain', { host: 'paged.supabase.test' })).toMatchObject({ state: 'review' });

    const asked = await send('approve');
    expect(asked).toMatchObject({ state: 'review', status: 'waiting', next: { who: 'human' } });
    const url = pageOf(asked?.next ?? {});
    expect(asked?.next.say).toContain(url);
    const page = await openPage(url);
    expect(await page.textContent('#statement')).toContain(
      'Create a project and a Supabase service on this Dokploy exactly as the plan says',
    );
    expect(await page.textContent('table')).toContain('JWT_SECRET');
    const shot = process.env['CAPSTAN_TEST_SCREENSHOTS'];
    if (shot !== undefined) await page.screenshot({ path: join(shot, 'approval.png'), fullPage: true });
    await page.fill('#name', 'something else');
    await page.click('button.yes');
    expect(await page.textContent('[role=alert]')).toContain('That is not the name of the run');
    expect(deployed()).toBe(0);
    await page.fill('#name', 'paged');
    await page.click('button.yes');
    expect(await page.textContent('h1')).toBe('Approved');
    expect((await page.goto(url))?.status()).toBe(404);

    let view = await client.call('inspect_run', { run: runId, waitMs: 45_000 });
    while (view.status === 'working') view = await client.call('inspect_run', { run: runId, waitMs: 45_000, since: view.version });
    expect(view).toMatchObject({ state: 'verified', status: 'waiting' });
    expect(await send('handover')).toMatchObject({ status: 'done' });
    expect(deployed()).toBe(1);
    expect(outside).toEqual([]);
    const targets = (await client.raw('list_targets', {})).structuredContent;
    expect(targets).toMatchObject({ targets: [{ name: 'paged' }] });
  },
  180_000,
);

async function toSmtp(name: string): Promise<string> {
  const started = await client?.call('start_workflow', { workflow: 'setup-supabase', name, input: { dokploy: 'home' }, waitMs: 30_000 });
  const run = started?.runId ?? '';
  await client?.call('advance_run', { run, event: 'name', payload: { name }, waitMs: 30_000 });
  expect(await client?.call('advance_run', { run, event: 'generate', waitMs: 30_000 })).toMatchObject({ state: 'smtp' });
  return run;
}
const mail = { host: 'mail.invalid', port: 587, user: 'me', adminEmail: 'me@example.com', senderName: 'Me', pass: 'ask:person' };

async function typed(url: string): Promise<void> {
  const page = await openPage(url);
  const shot = process.env['CAPSTAN_TEST_SCREENSHOTS'];
  if (shot !== undefined) await page.screenshot({ path: join(shot, 'secret.png'), fullPage: true });
  await page.fill('input[type=password]', canary);
  await page.click('button.yes');
  expect(await page.textContent('h1')).toBe('Handed over');
}

function nowhere(): void {
  for (const name of readdirSync(home, { recursive: true, encoding: 'utf8' })) {
    const path = join(home, name);
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) expect(readFileSync(path).includes(canary)).toBe(false);
  }
  expect(client?.stderr()).not.toContain(canary);
}

inBrowser(
  `a secret is typed on the page, and the agent sends its reference${suffix}`,
  async () => {
    client = await connect('legacy', { home });
    const run = await toSmtp('lettered');
    const asked = await client.call('advance_run', { run, event: 'smtp', payload: mail });
    expect(asked).toMatchObject({ state: 'smtp', status: 'waiting', next: { who: 'human', call: { tool: 'advance_run' } } });
    const call = asked.next['call'] as { arguments: Record<string, unknown> };
    expect(await client.refused('advance_run', call.arguments)).toMatchObject({
      code: 'SECRET_UNKNOWN',
      fix: expect.stringContaining('not given it yet'),
    });
    await typed(pageOf(asked.next));
    const sent = await client.call('advance_run', { ...call.arguments, waitMs: 30_000 });
    // mail.invalid answers nobody: that the login was tried shows that the event was taken with its secret.
    expect(sent).toMatchObject({ state: 'smtp', error: { code: expect.stringMatching(/^SMTP_|^DNS_/) } });
    expect(JSON.stringify(sent)).not.toContain(canary);
    nowhere();
  },
  120_000,
);

inBrowser.each(['legacy', 'modern'] as const)(
  `a %s client with URL elicitation opens the page itself, and the call goes on with the reference${suffix}`,
  async (era) => {
    const urls: string[] = [];
    client = await connect(era, {
      home,
      opens: async (url) => {
        urls.push(url);
        void typed(url);
        return 'accept';
      },
    });
    const run = await toSmtp(`url-${era}`);
    const sent = await client.call('advance_run', { run, event: 'smtp', payload: mail, waitMs: 30_000 });
    expect(urls).toHaveLength(1);
    expect(urls[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}$/);
    expect(sent).toMatchObject({ state: 'smtp', error: { code: expect.stringMatching(/^SMTP_|^DNS_/) } });
    expect(JSON.stringify(sent)).not.toContain(canary);
    expect(await client.refused('advance_run', { run, event: 'smtp', payload: { ...mail, user: 'ask:person' } })).toMatchObject({
      code: 'SECRET_FIELD_UNKNOWN',
    });
    nowhere();
  },
  120_000,
);
