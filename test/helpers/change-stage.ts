/** The whole product in this process against placed instances of a sandbox: what end-to-end tests of changes stand on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, openApp } from '../../src/app.ts';
import type { RunView } from '../../src/engine/view.ts';
import { AppError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import type { JournalEntry } from '../../src/sandbox/journal.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { createScrubber } from '../../src/scrub.ts';
import { addDokploy, codeOf, me, person } from './wizard-stage.ts';

export type ChangeStage = {
  home: string;
  app: App;
  logged: () => string;
  composeOf(name: string): string;
  /** What is stored at the service now. */
  env(name: string): Promise<string>;
  containers(name: string): Promise<Map<string, string>>;
  /** As somebody else would, beside the product. */
  post(procedure: string, body: object): Promise<void>;
  start(workflow: string, input: Record<string, unknown>): Promise<RunView>;
  send(run: string, event: string, payload?: Record<string, unknown>): Promise<RunView>;
  approve(run: string, event?: string): Promise<RunView>;
  rollback(run: string, to: string): Promise<RunView>;
  settle(run: string): Promise<RunView>;
  /** Entries since this stage opened that changed something there. */
  writes(): JournalEntry[];
  close(): Promise<void>;
};

type Patience = NonNullable<Parameters<typeof openApp>[0]['patience']>;

/** Opens a home whose targets are the instances of these names. */
export async function openChangeStage(sandbox: Sandbox, names: readonly string[], patience: Patience = {}): Promise<ChangeStage> {
  const home = mkdtempSync(join(tmpdir(), 'capstan-change-'));
  const scrubber = createScrubber();
  const lines: string[] = [];
  const log = createLog({ level: 'debug', scrubber, write: (line) => void lines.push(line) });
  const app = await openApp({
    config: { home, logLevel: 'debug' },
    log,
    scrubber,
    patience: { healthTimeoutMs: 20_000, verifyPatienceMs: 5_000, ...patience },
  });
  await addDokploy(app, sandbox);
  const composeOf = (name: string) => sandbox.state().composes.find((row) => row.appName.startsWith(`${name}-supabase-`))?.composeId ?? '';
  for (const name of names) {
    const compose = sandbox.state().composes.find((row) => row.composeId === composeOf(name));
    if (!compose) throw new Error(`the sandbox has no instance ${name}`);
    const dokploy = {
      name: 'home',
      projectId: '',
      environmentId: compose.environmentId,
      composeId: compose.composeId,
      appName: compose.appName,
    };
    await app.registry.addTarget({ name, kind: 'dokploy', tags: [], record: { url: '', dokploy, secrets: {}, facts: {} } }, []);
  }
  app.worker.start();
  const since = sandbox.journal().length;
  const headers = { 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' };
  const read = async (path: string): Promise<unknown> => (await fetch(`${sandbox.url}/api/${path}`, { headers })).json();
  const { engine } = app;
  const settle = (run: string) => engine.waitFor(run, { waitMs: 90_000 });
  const granted = async (run: string) => {
    const asked = (await engine.pendingApprovals(run)).at(-1);
    if (!asked) throw new Error(`nothing to approve for ${run}`);
    await engine.approve(asked.id, person);
    return settle(run);
  };
  return {
    home,
    app,
    logged: () => lines.join(''),
    composeOf,
    env: async (name) => String(Reflect.get(Object(await read(`compose.one?composeId=${composeOf(name)}`)), 'env') ?? ''),
    async containers(name) {
      const appName = sandbox.state().composes.find((row) => row.composeId === composeOf(name))?.appName ?? '';
      const rows = await read(`docker.getContainersByAppNameMatch?appName=${appName}`);
      return new Map(
        (rows as { name: string; containerId: string }[]).map((row) => [row.name.slice(appName.length + 1, -2), row.containerId]),
      ); // the sandbox's own rows
    },
    async post(procedure, body) {
      const answer = await fetch(`${sandbox.url}/api/${procedure}`, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`${procedure} answered ${answer.status}`);
    },
    async start(workflow, input) {
      const { runId } = await engine.start({ workflow, input }, me);
      return settle(runId);
    },
    async send(run, event, payload = {}) {
      await engine.advance({ run, event, payload }, me);
      return settle(run);
    },
    async approve(run, event = 'approve') {
      const code = await codeOf(engine.advance({ run, event }, me));
      if (code !== 'APPROVAL_REQUIRED') throw new Error(`${event} ended with ${code}`);
      return granted(run);
    },
    async rollback(run, to) {
      const refusal = await engine.rollback({ run, to }, me).then(
        () => undefined, // nothing outside is to be taken back, so nobody is asked
        (error: unknown) => error,
      );
      if (refusal === undefined) return settle(run);
      if (!(refusal instanceof AppError) || refusal.code !== 'APPROVAL_REQUIRED') throw refusal;
      return granted(run);
    },
    settle,
    writes: () =>
      sandbox
        .journal()
        .slice(since)
        .filter((entry) => entry.applied),
    async close() {
      await app.worker.stop(1_500);
      app.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The names of live checks of a proof in a view that are not ok. */
export function failing(view: RunView, key: 'before' | 'after'): string[] {
  const proof = view.details[key] as { checks: { name: string; ok: boolean | null }[] } | undefined; // shape of target.prove@1
  return (proof?.checks ?? []).filter(({ ok }) => ok !== true).map(({ name }) => name);
}
