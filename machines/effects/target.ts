import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { warning } from './shapes.ts';

/** A connection string with `{{secret:…}}` where the password belongs. */
export const connectionString = z.object({ name: z.string(), value: z.string(), reachableFrom: z.string() });

/** Saves the finished instance as a target. From here on the instance belongs to its owner, not to the run. */
export const registerTarget = defineEffect({
  name: 'target.register@1',
  title: 'Hand the instance over',
  local: true,
  pointOfNoReturn: true,
  timeoutMs: 30_000,
  deadlineMs: 60_000,
  input: z.object({
    dokploy: z.string(),
    name: z.string(),
    environment: z.string(),
    host: z.string(),
    url: z.string(),
    projectId: z.string(),
    environmentId: z.string(),
    composeId: z.string(),
    appName: z.string(),
    /** Environment variable to `secret:<id>`. */
    references: z.record(z.string(), z.string()),
    poolerTenantId: z.string(),
    postgresMajor: z.number().int().nullable(),
    templateSha256: z.string(),
    keysExpireAt: z.string(),
    warnings: z.array(warning),
  }),
  output: z.object({
    target: z.string(),
    urls: z.record(z.string(), z.string()),
    secrets: z.record(z.string(), z.string()),
    connectionStrings: z.array(connectionString),
    nextSteps: z.array(z.string()),
  }),
});
