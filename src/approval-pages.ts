/** Fits the approval page to an opened app: who answers, what is hidden, where secrets are kept. */
import type { App } from './app.ts';
import { toRecord } from './errors.ts';
import type { Logger } from './log.ts';
import { mapText, printable } from './mcp/printable.ts';
import type { Scrubber } from './scrub.ts';
import { createPages, type Pages } from './web/pages.ts';

type Deps = {
  app: Pick<App, 'engine' | 'vault' | 'registry'> & { approver: Pick<App['approver'], 'unlock'> };
  scrubber: Scrubber;
  log: Pick<Logger, 'error'>;
  principal: string;
};

export function pagesOf({ app, scrubber, log, principal }: Deps): Pages {
  return createPages({
    engine: app.engine,
    unlock: (passphrase, run) => app.approver.unlock(passphrase, { principal, door: 'page', run }),
    async keepSecrets({ runId, fields }, values) {
      const staged = Object.entries(fields).map(([field, id]) => app.vault.stageSecret(`run:${runId}`, field, values[field] ?? '', id));
      await app.registry.keepSecrets(staged);
    },
    // A copy of plain JSON by mapText has the shape of what it copies.
    clean: <T>(value: T) => mapText(value, (text) => printable(scrubber.scrub(text))) as T,
    principal,
    logError: (error) => log.error({ error: toRecord(error) }, 'the approval page failed'),
    now: Date.now,
  });
}
