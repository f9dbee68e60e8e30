/** Where a target that was set up through a Dokploy stands. */
import { z } from 'zod';
import type { TargetRecord } from './effects/handler.ts';
import { AppError } from './errors.ts';
import type { TargetRow } from './store/registry.ts';

export type TargetPlace = { dokploy: string; composeId: string };

/** Throws TARGET_NOT_ON_DOKPLOY; `what` is what cannot be done without it, `fix` the way around it. */
export function placeOf({ name, record }: Pick<TargetRow, 'name' | 'record'>, what: string, fix: string): TargetPlace {
  const place = record['dokploy'];
  const read = (key: string): unknown => (typeof place === 'object' && place !== null ? Reflect.get(place, key) : undefined);
  const [dokploy, composeId] = [read('name'), read('composeId')];
  if (typeof dokploy === 'string' && typeof composeId === 'string') return { dokploy, composeId };
  throw new AppError('TARGET_NOT_ON_DOKPLOY', {
    message: `The target ${name} does not say which service of which Dokploy it is, so ${what}.`,
    fix,
  });
}

/** Every secret reference that the row of a target holds. */
export function secretsOf({ record }: Pick<TargetRow, 'record'>): Record<string, string> {
  const secrets = record['secrets'];
  if (typeof secrets !== 'object' || secrets === null) return {};
  return Object.fromEntries(Object.entries(secrets).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

const keptRecord = z.looseObject({
  url: z.string().catch(''),
  dokploy: z
    .object({
      name: z.string(),
      projectId: z.string().catch(''),
      environmentId: z.string().catch(''),
      composeId: z.string(),
      appName: z.string().catch(''),
    })
    .optional()
    .catch(undefined),
  secrets: z.record(z.string(), z.string()).catch({}),
  facts: z.record(z.string(), z.unknown()).catch({}),
});
const kinds = z.enum(['dokploy', 'self-hosted', 'cloud']).catch('self-hosted');

/** As effects take a target: what an older version, or a person, left out of the row is empty. */
export function toTargetRecord({ name, kind, tags, record }: Omit<TargetRow, 'createdAt'>): TargetRecord {
  const { url, dokploy, secrets, facts } = keptRecord.parse(record);
  return { name, kind: kinds.parse(kind), tags, url, ...(dokploy ? { dokploy } : {}), secrets, facts };
}
