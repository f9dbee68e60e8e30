import type { EffectRow } from './ports.ts';

/** What every log line about an effect carries, so that a trace can be followed through processes (L3). */
export function placeOf({ key, runId, traceId }: Pick<EffectRow, 'key' | 'runId' | 'traceId'>) {
  return { trace: traceId, run: runId, effect: key };
}
