import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { targetName } from './shapes.ts';
import { liveCheck } from './supabase.ts';

/** Live checks of a running target as it is served now; sends its keys over a trusted connection only. */
export const proveLive = defineEffect({
  name: 'target.proveLive@1',
  title: 'Try the instance by live requests',
  readOnly: true,
  timeoutMs: 3 * 60_000,
  deadlineMs: 5 * 60_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 5_000 },
  input: z.object({
    target: targetName,
    /** How long failed checks are tried again, in ms: a service that was just started needs a moment. Default 0. */
    patienceMs: z.number().int().nonnegative().optional(),
  }),
  output: z.object({
    /** `unknown` when no check could be run, which never counts as passed. */
    verdict: z.enum(['passed', 'failed', 'unknown']),
    checks: z.array(liveCheck),
    say: z.string(),
  }),
});

/** Waits until services of a running target are healthy; an empty container list counts as unknown, never as healthy. */
export const awaitTargetHealth = defineEffect({
  name: 'target.awaitHealth@1',
  title: 'Wait until the services are healthy',
  readOnly: true,
  timeoutMs: 11 * 60_000,
  deadlineMs: 12 * 60_000,
  retry: { attempts: 5, baseMs: 1_000, maxMs: 5_000 },
  input: z.object({
    target: targetName,
    /** Null for all. */
    services: z.array(z.string()).nullable(),
    /** How long to wait, in ms. Default 600 000. */
    waitMs: z.number().int().positive().optional(),
  }),
  output: z.object({ services: z.number().int(), healthy: z.number().int(), withoutCheck: z.number().int(), finished: z.number().int() }),
});
