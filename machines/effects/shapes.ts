import { z } from 'zod';

/** Shapes that several contracts share. Everything here is plain JSON and holds references, never secrets. */

export const warning = z.object({ code: z.string(), say: z.string() });
export type Warning = z.infer<typeof warning>;

/** Name of a dokploy as the owner registered it; never an address or a key. */
export const dokployName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'give the name under which the Dokploy was added, not its address')
  .describe('Name of a registered Dokploy (capstan dokploy list)');

/** The approved plan that later writes take their content from (engine.md A1). */
export const planReference = z.object({ plan: z.string(), planHash: z.string() });

/** The Dokploy project that a run owns while it works. */
export const projectScope = z.object({ dokploy: z.string(), name: z.string() }).extend(planReference.shape);

/** Scope plus the compose service. */
export const serviceScope = projectScope.extend({ projectId: z.string(), composeId: z.string(), appName: z.string() });

/** E10: one run at a time per project of a Dokploy. */
export function projectLocks(input: { dokploy: string; name: string }): string[] {
  return [`dokploy:${input.dokploy}/project:${input.name}`];
}

export const certificateKind = z.enum(['letsencrypt', 'none', 'custom']);

/** Cheap reads: quick to answer, quick to give up, so that the run rests again with an error to show. */
export const quickRead = { timeoutMs: 30_000, deadlineMs: 60_000, retry: { attempts: 3, baseMs: 500, maxMs: 4_000 } };

/** Writes of one request: the request itself ends after 30 s, so `absent` is believed 35 s after the last sign of life (E3). */
export const oneWrite = {
  timeoutMs: 60_000,
  deadlineMs: 10 * 60_000,
  settleMs: 35_000,
  retry: { attempts: 6, baseMs: 1_000, maxMs: 20_000 },
};

/** Name of a registered target. */
export const targetName = z.string().min(1).max(120).describe('Name of a registered target (capstan targets list)');

/** E10: one run at a time changes a target. */
export function targetLocks(input: { target: string }): string[] {
  return [`target:${input.target}`];
}

/** True for text that systems read as an IPv4 address in one of its spellings (127.0.0.1, 127.1, 2130706433, 0x7f.1): no name ends in a number. */
export function isNumericHost(host: string): boolean {
  return /(^|\.)(\d+|0x[0-9a-f]*)\.?$/i.test(host);
}
