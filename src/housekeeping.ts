/** Once a day one of the working processes prunes (engine.md L4). */
import { toRecord } from './errors.ts';
import type { Logger } from './log.ts';
import type { PruneReport } from './store/prune.ts';

const firstLookMs = 60_000;
const lookMs = 60 * 60_000;

/** Looks after a minute and then each hour; what fails is logged and tried again an hour later. The timer holds no process. */
export function keepHouse(pruneDaily: () => Promise<PruneReport | undefined>, log: Pick<Logger, 'info' | 'warn'>): { stop(): void } {
  let timer: NodeJS.Timeout;
  let stopped = false;
  const look = async (): Promise<void> => {
    try {
      const report = await pruneDaily();
      if (report)
        log.info({ runs: report.runs.length, audit: report.auditRows, files: report.files.length }, 'pruned what is past its time');
    } catch (error) {
      log.warn({ error: toRecord(error) }, 'pruning failed and is tried again in an hour');
    }
  };
  const next = (ms: number) => {
    if (stopped) return;
    timer = setTimeout(() => void look().finally(() => next(lookMs)), ms).unref();
  };
  next(firstLookMs);
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
