/** A home of its own with the whole app in it, a real Postgres as its target, and runs driven to their rest. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, openApp } from '../../src/app.ts';
import type { RunView } from '../../src/engine/view.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';

export const caller = { principal: 'tester', door: 'test' };
export const person = { principal: 'person', level: 'terminal', door: 'test' } as const;

export type BackupApp = {
  app: App;
  home: string;
  addTarget(name: string, databaseUrl: string, more?: Record<string, unknown>): Promise<void>;
  /** Until nothing works any more, or the state is reached. */
  rest(runId: string): Promise<RunView>;
  run(workflow: string, input: Record<string, unknown>): Promise<RunView>;
  /** Sends an event, approving it as a person where that is asked. */
  send(run: string, event: string, payload?: Record<string, unknown>): Promise<RunView>;
  close(): Promise<void>;
};

export async function openBackupApp(home = mkdtempSync(join(tmpdir(), 'capstan-backup-'))): Promise<BackupApp> {
  const scrubber = createScrubber();
  const log = createLog({ level: process.env['CAPSTAN_TEST_LOG'] ?? 'silent', scrubber });
  const app = await openApp({ config: Object.freeze({ home, logLevel: 'silent' }), log, scrubber });
  app.worker.start();
  const busy = new Set(['working', 'settling', 'rolling_back', 'blocked']);
  const rest = async (runId: string): Promise<RunView> => {
    for (;;) {
      const view = await app.engine.waitFor(runId, { waitMs: 60_000 });
      if (!busy.has(view.status)) return view;
    }
  };
  return {
    app,
    home,
    rest,
    async addTarget(name, databaseUrl, more = {}) {
      const staged = app.vault.stageSecret(`target:${name}`, 'databaseUrl', databaseUrl);
      const record = { url: 'http://127.0.0.1:9', secrets: { databaseUrl: `secret:${staged.id}` }, facts: {}, ...more };
      await app.registry.addTarget({ name, kind: 'self-hosted', tags: [], record }, [staged]);
    },
    async run(workflow, input) {
      const { runId } = await app.engine.start({ workflow, input, name: undefined }, caller);
      return rest(runId);
    },
    async send(run, event, payload = {}) {
      const request = { run, event, payload };
      try {
        await app.engine.advance(request, caller);
      } catch (error) {
        const approval = (error as { details?: { approval?: string } }).details?.approval;
        if (approval === undefined) throw error;
        await app.engine.approve(approval, person);
      }
      return rest((await app.engine.inspect(run)).runId);
    },
    async close() {
      await app.worker.stop(1_500);
      app.close();
    },
  };
}

export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true });
}
