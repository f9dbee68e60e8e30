import { resolve4 } from 'node:dns/promises';
import { z } from 'zod';
import { mutation, number, optionalBool, orNotFound, type Procedure, query, text } from '../procedure.ts';
import { domainRow } from '../rows.ts';
import { generateHost } from '../template-expand.ts';
import type { World } from '../world.ts';
import { findCompose } from './compose.ts';

const hostRule = 'Invalid domain name. Use only letters, numbers, hyphens and dots (e.g. example.com). Underscores are not allowed.';
const host = text.refine(
  (value) => /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(value),
  hostRule,
);

const fields = {
  host,
  path: text.nullish(),
  port: number.min(1).max(65_535).nullish(),
  https: optionalBool,
  certificateType: z.enum(['letsencrypt', 'none', 'custom']).optional(),
  customCertResolver: text.nullish(),
  composeId: text.nullish(),
  serviceName: text.nullish(),
  domainType: z.enum(['application', 'compose', 'preview']).nullish(),
  internalPath: text.nullish(),
  stripPath: optionalBool,
};

const domainId = z.object({ domainId: text });

const findDomain = (world: World, id: string) =>
  orNotFound(
    world.state.rows.domains.find((row) => row.domainId === id),
    'Domain',
  );

/** Names under .test have no public DNS; here they belong to this machine. */
async function addressOf(name: string, world: World): Promise<string | undefined> {
  const embedded = /(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})\.(sslip\.io|nip\.io|traefik\.me)$/.exec(name);
  if (embedded !== null) return embedded.slice(1, 5).join('.');
  if (name.endsWith('.test')) return world.ip;
  return (await resolve4(name))[0];
}

async function validate(domain: string, serverIp: string | undefined, world: World) {
  try {
    const resolvedIp = await addressOf(domain, world);
    if (serverIp === undefined || resolvedIp === serverIp) return { isValid: true, resolvedIp };
    return { isValid: false, resolvedIp, error: `Domain resolves to ${resolvedIp} but should point to ${serverIp}` };
  } catch (error) {
    return { isValid: false, error: error instanceof Error ? error.message : 'Failed to resolve domain' };
  }
}

/** Router domain. Rows become labels: nothing changes outside before the next deployment. */
export const domains: Record<string, Procedure> = {
  'domain.create': mutation(z.object(fields), (input, { world, applied }) => {
    if (input.composeId) findCompose(world, input.composeId);
    const { rows } = world.state;
    rows.domainCount += 1;
    const row = domainRow(input, rows.domainCount);
    rows.domains.push(row);
    applied({ domainId: row.domainId, ...(row.composeId === null ? {} : { composeId: row.composeId }) });
    return row;
  }),
  // The host is required even to change something else.
  'domain.update': mutation(
    z.object({ ...fields, domainId: text }),
    ({ domainId: id, composeId: _fixed, ...changes }, { world, applied }) => {
      const row = findDomain(world, id);
      for (const [name, value] of Object.entries(changes)) if (value !== undefined) Object.assign(row, { [name]: value });
      applied({ domainId: id });
      return row;
    },
  ),
  'domain.delete': mutation(domainId, ({ domainId: id }, { world, applied }) => {
    const row = findDomain(world, id);
    world.state.rows.domains = world.state.rows.domains.filter((one) => one !== row);
    applied({ domainId: id });
    return row;
  }),
  'domain.one': query(domainId, ({ domainId: id }, { world }) => ({ ...findDomain(world, id), application: null })),
  'domain.byComposeId': query(z.object({ composeId: text }), ({ composeId: id }, { world }) => {
    const { composeId, appName, name } = findCompose(world, id);
    return world.state.rows.domains.filter((row) => row.composeId === id).map((row) => ({ ...row, compose: { composeId, appName, name } }));
  }),
  'domain.toggleEnable': mutation(
    domainId,
    ({ domainId: id }, { world, applied }) => {
      const row = findDomain(world, id);
      row.enabled = !row.enabled;
      applied({ domainId: id });
      return { ...row, requiresRedeploy: true };
    },
    '0.30.0',
  ),
  'domain.validateDomain': mutation(z.object({ domain: text, serverIp: text.optional() }), ({ domain, serverIp }, { world }) =>
    validate(domain, serverIp, world),
  ),
  'domain.generateDomain': mutation(z.object({ appName: text, serverId: text.optional() }), ({ appName }, { world }) =>
    generateHost(appName, world.ip),
  ),
};
