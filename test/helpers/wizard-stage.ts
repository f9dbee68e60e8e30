/** The whole product in this process against a running sandbox: what end-to-end tests of the wizard stand on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, openApp } from '../../src/app.ts';
import type { RunView } from '../../src/engine/view.ts';
import { AppError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { createScrubber } from '../../src/scrub.ts';

export const me = { principal: 'tester', door: 'test' };
export const person = { principal: 'person', level: 'terminal' as const, door: 'test' };

export type Stage = {
  home: string;
  app: App;
  /** Everything the product logged, for canary scans. */
  logged: () => string;
  settle(run: string): Promise<RunView>;
  send(run: string, event: string, payload?: Record<string, unknown>): Promise<RunView>;
  approve(run: string): Promise<RunView>;
  /** Walks the first five steps and rests in `review`. */
  toReview(name: string, domain?: Record<string, unknown>): Promise<RunView>;
  toVerified(name: string): Promise<RunView>;
  rollback(run: string, to: string): Promise<RunView>;
  close(): Promise<void>;
};

export async function addDokploy(app: App, sandbox: Sandbox, over: { name?: string; url?: string; key?: string } = {}): Promise<void> {
  const name = over.name ?? 'home';
  const key = app.vault.stageSecret(`dokploy:${name}`, 'key', over.key ?? sandbox.apiKey);
  await app.registry.addDokploy(
    {
      name,
      url: over.url ?? sandbox.url,
      keySecret: `secret:${key.id}`,
      options: { ca: sandbox.ca, resolve: sandbox.resolve, templateBaseUrl: sandbox.templateBaseUrl },
    },
    [key],
  );
}

export async function openStage(sandbox: Sandbox, home = mkdtempSync(join(tmpdir(), 'capstan-e2e-'))): Promise<Stage> {
  const scrubber = createScrubber();
  const lines: string[] = [];
  const log = createLog({ level: 'debug', scrubber, write: (line) => void lines.push(line) });
  const app = await openApp({ config: { home, logLevel: 'debug' }, log, scrubber, patience: { healthTimeoutMs: 20_000 } });
  if ((await app.registry.dokploys()).length === 0) await addDokploy(app, sandbox);
  app.worker.start();
  const { engine } = app;
  const settle = (run: string) => engine.waitFor(run, { waitMs: 90_000 });
  const send = async (run: string, event: string, payload: Record<string, unknown> = {}) => {
    await engine.advance({ run, event, payload }, me);
    return settle(run);
  };
  const approve = async (run: string) => {
    const asked = (await engine.pendingApprovals(run)).at(-1);
    if (!asked) throw new Error(`nothing to approve for ${run}`);
    await engine.approve(asked.id, person);
    return settle(run);
  };
  const toReview = async (name: string, domain: Record<string, unknown> = {}) => {
    const { runId } = await engine.start({ workflow: 'setup-supabase', name, input: { dokploy: 'home' } }, me);
    await settle(runId);
    await send(runId, 'name', { name });
    await send(runId, 'generate');
    await send(runId, 'skipSmtp');
    return send(runId, 'domain', { host: `${name}.supabase.test`, ...domain });
  };
  return {
    home,
    app,
    logged: () => lines.join(''),
    settle,
    send,
    approve,
    toReview,
    async toVerified(name) {
      const { runId } = await toReview(name);
      await codeOf(engine.advance({ run: runId, event: 'approve' }, me));
      return approve(runId);
    },
    async rollback(run, to) {
      const code = await codeOf(engine.rollback({ run, to }, me));
      if (code !== 'APPROVAL_REQUIRED') throw new Error(`the rollback ended with ${code}`);
      return approve(run);
    },
    async close() {
      await app.worker.stop(1_500);
      app.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The code of the AppError that the work ends with, or the word that says it did not. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof AppError ? error.code : `no AppError: ${String(error)}`;
}
