/** Supavisor and Realtime: both keep a tenant of their own that later changes of the environment do not reach. */
import { docs, type Finding } from '../findings.ts';
import { atVariable, type Look, type Rule, thenDeploy } from '../look.ts';

export const poolerRules: readonly Rule[] = [placeholder, tenantChanged, ignored, sizes];
export const realtimeRules: readonly Rule[] = [realtimeTenant, encryptionKey];

function placeholder(look: Look): Finding[] {
  if (look.env.get('POOLER_TENANT_ID') !== 'your-tenant-id') return [];
  return [
    atVariable(look, 'POOLER_TENANT_ID', {
      code: 'POOLER_TENANT_PLACEHOLDER',
      severity: 'warning',
      say: 'POOLER_TENANT_ID keeps the template’s placeholder; it is part of every user name at the pooler.',
      expected: 'A name of your own',
      fix: `Leave it unless you need another: set POOLER_TENANT_ID and have the pooler’s tenant made again ${thenDeploy}.`,
      docs: docs.pooler,
    }),
  ];
}

function tenantChanged(look: Look): Finding[] {
  if (!look.facts.changedSince?.includes('POOLER_TENANT_ID')) return [];
  return [
    atVariable(look, 'POOLER_TENANT_ID', {
      code: 'POOLER_TENANT_CHANGED',
      severity: 'error',
      say: 'POOLER_TENANT_ID is not the one that was handed over: connection strings with the old tenant stop working.',
      expected: 'The tenant that stands in the connection strings',
      fix: `Set POOLER_TENANT_ID back to the tenant that stands in your connection strings ${thenDeploy}.`,
      docs: docs.pooler,
    }),
  ];
}

/** pooler.exs makes the tenant only where there is none. */
const atFirstStart: Readonly<Record<string, string>> = { POOLER_DEFAULT_POOL_SIZE: '20', POOLER_MAX_CLIENT_CONN: '100' };

function ignored(look: Look): Finding[] {
  return Object.entries(atFirstStart).flatMap(([name, usual]) => {
    const value = look.env.get(name);
    if (value === undefined || value === usual || !/^\d{1,6}$/.test(value)) return [];
    return [
      atVariable(look, name, {
        code: 'POOLER_SETTING_IGNORED',
        severity: 'warning',
        say: `${name} is not the template’s ${usual}; unless it was there at the first start the pooler ignores it, since its tenant is made once.`,
        expected: `The value that the pooler’s tenant row has, ${usual} if it was changed later`,
        fix: `Change the row in _supavisor.tenants together with ${name} ${thenDeploy}.`,
        docs: docs.pooler,
      }),
    ];
  });
}

function sizes(look: Look): Finding[] {
  return [...Object.keys(atFirstStart), 'POOLER_DB_POOL_SIZE', 'POOLER_PROXY_PORT_TRANSACTION'].flatMap((name) => {
    const value = look.env.get(name);
    if (value === undefined || (/^\d{1,5}$/.test(value) && Number(value) > 0)) return [];
    const say = `${name} is no positive number, and the pooler does not start with it.`;
    const usual = atFirstStart[name] ?? (name === 'POOLER_DB_POOL_SIZE' ? '5' : '6543');
    return [
      atVariable(look, name, {
        code: 'POOLER_SETTING_INVALID',
        severity: 'error',
        say,
        expected: usual,
        fix: `Set ${name}=${usual} ${thenDeploy}.`,
        docs: docs.pooler,
      }),
    ];
  });
}

/** Realtime takes the first label of the host under which the gateway calls it as tenant; only the seeded one exists. */
function realtimeTenant({ facts, compose }: Look): Finding[] {
  const label = facts.realtimeHost?.split('.')[0];
  const service = compose?.services.find(({ name }) => name === 'realtime');
  if (label === undefined || !service) return [];
  const seeded = service.environment['SELF_HOST_TENANT_NAME'] ?? 'realtime-dev';
  if (seeded === label || seeded.includes('$')) return [];
  return [
    {
      code: 'REALTIME_TENANT',
      severity: 'warning',
      at: 'service realtime',
      say: 'The gateway calls Realtime by a name whose first label is not its tenant: websockets fail although the container is healthy.',
      current: 'another tenant is seeded',
      expected: `SELF_HOST_TENANT_NAME: ${/^[\w-]{1,63}$/.test(label) ? label : 'realtime'}`,
      fix: 'Add SELF_HOST_TENANT_NAME: realtime to the environment of the service realtime in the compose file, rename the tenant in its health check, and deploy again.',
      docs: docs.realtime,
    },
  ];
}

function encryptionKey({ compose }: Look): Finding[] {
  const key = compose?.services.find(({ name }) => name === 'realtime')?.environment['DB_ENC_KEY'];
  if (key !== 'supabaserealtime') return [];
  return [
    {
      code: 'REALTIME_ENC_KEY_PUBLIC',
      severity: 'info',
      at: 'service realtime',
      say: 'Realtime encrypts its stored tenant with the key of the public template, as every installation of it does.',
      current: '(the public value)',
      expected: 'A key of your own, where database dumps leave your hands',
      fix: 'Leave it unless you need more: a new DB_ENC_KEY of 16 characters in the compose file makes Realtime’s tenant row unreadable until it is seeded again.',
      docs: docs.realtime,
    },
  ];
}
