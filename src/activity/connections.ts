/** Who holds the connections of a server, how near the end is, and which change takes effect. Pure. */
import { z } from 'zod';
import { type Service, serviceOf } from './services.ts';

const group = z.object({
  role: z.string().nullable(),
  program: z.string(),
  database: z.string().nullable(),
  state: z.string().nullable(),
  count: z.number(),
  longestInStateSeconds: z.number().nullable(),
  longestTransactionSeconds: z.number().nullable(),
  isOurs: z.boolean(),
});

/** The answer of the connections statement. */
export const connectionFacts = z.object({
  /** False when the role may not see what others do: then states and programs are missing. */
  complete: z.boolean(),
  maxConnections: z.number(),
  reserved: z.number(),
  groups: z.array(group),
});
export type ConnectionFacts = z.infer<typeof connectionFacts>;

/** What the pooler really uses: its tenant's row, which later changes of the environment do not reach. */
export type PoolerSettings = { known: true; poolSize: number; maxClients: number; users: number } | { known: false; say: string };

export type ServiceShare = {
  service: Service;
  connections: number;
  active: number;
  idle: number;
  idleInTransaction: number;
  longestIdleSeconds?: number;
};

export type Level = 'ok' | 'watch' | 'alert';

export type ConnectionReport = {
  level: Level;
  say: string;
  current: number;
  max: number;
  /** Kept for superusers: applications cannot have them. */
  reserved: number;
  percent: number;
  complete: boolean;
  byService: ServiceShare[];
  pooler: PoolerSettings;
  /** The change that takes effect, worst cause first; empty while there is no need. */
  recommendations: Recommendation[];
};

/** `workflow` only where this installation has it. */
export type Recommendation = { say: string; poolSize?: number; workflow?: typeof resizePool };

export const resizePool = 'resize-pool';

/** The share of the usable connections at which one looks, and at which one acts. */
export const watchAt = 75;
export const alertAt = 90;
/** What a change should leave in use. */
const aimPercent = 65;

export function connectionReport(facts: ConnectionFacts, pooler: PoolerSettings, canResize: boolean): ConnectionReport {
  const { complete, maxConnections: max, reserved } = facts;
  const byService = shares(facts);
  const current = byService.reduce((sum, { connections }) => sum + connections, 0);
  const usable = Math.max(1, max - reserved);
  const percent = Math.round((1000 * current) / usable) / 10;
  const level: Level = percent >= alertAt ? 'alert' : percent >= watchAt ? 'watch' : 'ok';
  const say = `${current} of ${usable} usable connections are in use (${percent} %; max_connections ${max}, ${reserved} reserved).`;
  const recommendations = level === 'ok' ? [] : recommend({ byService, current, usable, max, pooler, canResize });
  return { level, say, current, max, reserved, percent, complete, byService, pooler, recommendations };
}

function shares({ groups }: ConnectionFacts): ServiceShare[] {
  const found = new Map<Service, ServiceShare>();
  for (const each of groups) {
    const service = serviceOf(each);
    const share = found.get(service) ?? { service, connections: 0, active: 0, idle: 0, idleInTransaction: 0 };
    share.connections += each.count;
    if (each.state === 'active') share.active += each.count;
    if (each.state === 'idle') {
      share.idle += each.count;
      share.longestIdleSeconds = Math.max(share.longestIdleSeconds ?? 0, each.longestInStateSeconds ?? 0);
    }
    if (each.state?.startsWith('idle in transaction')) share.idleInTransaction += each.count;
    found.set(service, share);
  }
  return [...found.values()].sort((a, b) => b.connections - a.connections || (a.service < b.service ? -1 : 1));
}

type Situation = {
  byService: readonly ServiceShare[];
  current: number;
  usable: number;
  max: number;
  pooler: PoolerSettings;
  canResize: boolean;
};

function recommend({ byService, current, usable, max, pooler, canResize }: Situation): Recommendation[] {
  const waiting = byService.reduce((sum, { idleInTransaction }) => sum + idleInTransaction, 0);
  const pool = byService.find(({ service }) => service === 'supavisor');
  const wanted = pool && pooler.known ? smallerPool(pool.connections, current, usable, pooler.poolSize) : undefined;
  const [largest] = byService;
  return [
    ...(waiting > 0
      ? [
          {
            say: `${waiting} connections are idle in a transaction: the program that opened them forgot to end it; restarting its service frees them.`,
          },
        ]
      : []),
    ...(wanted === undefined ? [] : [resizeTo(wanted, canResize)]),
    ...(pool && !pooler.known
      ? [{ say: `The pooler holds ${pool.connections} connections, but its settings are not known (${pooler.say}), so no size is named.` }]
      : []),
    ...(largest && largest.service === 'application'
      ? [
          {
            say: `Applications hold ${largest.connections} connections directly: send them through the pooler, or give each a smaller pool.`,
          },
        ]
      : []),
    {
      say: `Raise max_connections above ${max} in the command of the db service if nothing can be given up; each connection costs memory.`,
    },
  ];
}

/** The variable alone does nothing: the tenant was made at the first start. */
function resizeTo(poolSize: number, canResize: boolean): Recommendation {
  const variable = `POOLER_DEFAULT_POOL_SIZE=${poolSize}`;
  const alone = 'The variable alone changes nothing, since the tenant was made at the first start.';
  if (canResize)
    return {
      say: `Set the pool size to ${poolSize} by the workflow ${resizePool}: it changes the pooler’s tenant row and ${variable} together. ${alone}`,
      poolSize,
      workflow: resizePool,
    };
  return {
    say: `Set the pool size to ${poolSize}: default_pool_size in _supavisor.tenants (and pool_size in _supavisor.users where it is set) together with ${variable}, then restart the pooler. ${alone}`,
    poolSize,
  };
}

/** The size at which the server is at its aim, if the pool shrinks as its size does; undefined where it would not help. */
function smallerPool(held: number, current: number, usable: number, poolSize: number): number | undefined {
  const room = Math.floor((usable * aimPercent) / 100) - (current - held);
  const size = Math.max(5, Math.floor((poolSize * Math.max(0, room)) / Math.max(1, held)));
  return size < poolSize ? size : undefined;
}

/** What the groups are, for people who want to see roles and programs; text from outside. */
export function holders({ groups }: ConnectionFacts): Record<string, unknown>[] {
  return [...groups]
    .sort((a, b) => b.count - a.count)
    .map(({ isOurs: _, longestInStateSeconds, longestTransactionSeconds, ...row }) => ({
      service: serviceOf(row),
      ...row,
      ...(longestInStateSeconds === null ? {} : { longestInStateSeconds }),
      ...(longestTransactionSeconds === null ? {} : { longestTransactionSeconds }),
    }));
}
