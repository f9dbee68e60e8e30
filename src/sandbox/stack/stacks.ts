/**
 * What runs: one stack per deployed compose service.
 * 1. A stack runs with the environment, domains and mounts of its last deployment; changes of rows mean nothing before the next one.
 * 2. Passwords and boot-only settings are fixed at the first start of its database.
 * 3. Whatever was started here is ended by `close()`.
 */
import { randomBytes } from 'node:crypto';
import type { Faults } from '../faults.ts';
import { startPooler, type Tenant } from '../pooler/tenant.ts';
import type { Database, DatabaseHost, FirstBoot } from '../postgres/database.ts';
import type { ComposeRow, DomainRow, MountRow } from '../rows.ts';
import type { StackRecord, StackService, State } from '../state.ts';
import { databaseSettings } from './compose-file.ts';
import { logTo } from './container-logs.ts';
import { containersAfter } from './containers.ts';
import type { StackFiles } from './files.ts';
import { joinedNetworks, type RelayProcess, startRelay } from './relay-process.ts';

/** The containers did not come up; the message is docker's, as it stands in the log. */
export class DeployFailure extends Error {}

export type Deployment = { compose: ComposeRow; services: StackService[]; domains: DomainRow[]; mounts: MountRow[] };

export type Stacks = {
  /** Brings the stack up and waits until it is healthy; throws DeployFailure. */
  deploy(deployment: Deployment): Promise<void>;
  /** Starts a stopped stack with the settings of its last deployment; false if there was none. */
  start(composeId: string): Promise<boolean>;
  stop(composeId: string): Promise<boolean>;
  /** Restarts one container as it is; a new environment is not picked up. */
  restart(composeId: string, service: string): Promise<void>;
  /** Stops or starts one container as it is; false when it stood so already. */
  switchContainer(composeId: string, service: string, to: 'running' | 'exited'): Promise<boolean>;
  /** Ends the stack and destroys its data. */
  remove(composeId: string): Promise<void>;
  find(composeId: string): StackRecord | undefined;
  byAppName(appName: string): StackRecord | undefined;
  /** The stack whose labels carry this host, if its containers are up. */
  byHost(host: string): { stack: StackRecord; domain: DomainRow } | undefined;
  /** True if Let's Encrypt has answered for this host. */
  hasCertificate(host: string): boolean;
  database(composeId: string): Database | undefined;
  /** The port of a stack's own program, such as a relay. */
  relayPort(composeId: string): number | undefined;
  /** The running pooler that knows this tenant. */
  byTenant(id: string): { database: Database; tenant: Tenant } | undefined;
  /** Starts again what ran when the process ended. */
  restore(): Promise<void>;
  close(): Promise<void>;
};

export type StacksOptions = { state: State; faults: Faults; host: DatabaseHost; files: StackFiles; signal: AbortSignal };

const isSupabase = (services: StackService[]): boolean => ['db', 'kong'].every((name) => services.some((service) => service.name === name));

const serviceEnv = (stack: StackRecord, name: string): Record<string, string> =>
  stack.services.find((service) => service.name === name)?.env ?? {};

/** Resolves early when the sandbox ends. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
}

/** From when each host has its certificate; null = never. One that was issued before is kept. */
function certificates(domains: DomainRow[], faults: Faults, before: Record<string, number | null>): Record<string, number | null> {
  const asking = domains.filter((domain) => domain.enabled && domain.https && domain.certificateType === 'letsencrypt');
  const missing = asking.filter(({ host }) => typeof before[host.toLowerCase()] !== 'number');
  if (missing.length === 0) return before;
  const never = faults.take('no-certificate');
  const delayMs = faults.take('slow-certificate') ? 5_000 : 0;
  const added = missing.map(({ host }) => [host.toLowerCase(), never ? null : Date.now() + delayMs] as const);
  return { ...before, ...Object.fromEntries(added) };
}

/** All stacks of one sandbox. */
export function createStacks({ state, faults, host, files, signal }: StacksOptions): Stacks {
  const { rows } = state;
  const databases = new Map<string, Database>();
  const poolers = new Map<string, { container: string; tenants: Tenant[] }>();
  const relays = new Map<string, RelayProcess>();
  const background = new Set<Promise<void>>();
  const find = (composeId: string) => rows.stacks.find((stack) => stack.composeId === composeId);
  const isUp = (stack: StackRecord) => stack.phase === 'healthy';

  async function closeDatabase(composeId: string): Promise<void> {
    const database = databases.get(composeId);
    databases.delete(composeId);
    await database?.close();
  }

  /** A pooler whose container stays goes on with what it knows; one that does not start knows nobody. */
  async function openPooler(stack: StackRecord): Promise<void> {
    const { composeId } = stack;
    const database = databases.get(composeId);
    const container = stack.containers?.['supavisor']?.id ?? '';
    if (database === undefined || (poolers.get(composeId)?.container === container && container !== '')) return;
    poolers.delete(composeId);
    const tenants = await startPooler(stack, database).catch((error: unknown) => {
      logTo(stack, 'supavisor', `** (Postgrex.Error) ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    });
    if (tenants !== undefined) poolers.set(composeId, { container, tenants });
  }

  async function closeRelay(composeId: string): Promise<void> {
    const relay = relays.get(composeId);
    relays.delete(composeId);
    await relay?.close();
  }

  async function openRelay({ composeId, services }: StackRecord): Promise<void> {
    await closeRelay(composeId);
    const text = rows.composes.find((row) => row.composeId === composeId)?.composeFile ?? '';
    const joined = joinedNetworks(text);
    const beside = rows.stacks.find(({ appName }) => joined.includes(`${appName}_default`) || joined.includes(appName));
    const relay = await startRelay(services, beside && databases.get(beside.composeId)?.address);
    if (relay !== undefined) relays.set(composeId, relay);
  }

  async function openDatabase(stack: StackRecord): Promise<void> {
    const db = stack.services.find((service) => service.name === 'db');
    if (db === undefined || !isSupabase(stack.services) || databases.has(stack.composeId)) return;
    const first: FirstBoot = {
      password: db.env.POSTGRES_PASSWORD ?? '',
      jwtSecret: db.env.JWT_SECRET ?? '',
      jwtExpiry: db.env.JWT_EXP ?? '3600',
    };
    if (first.password === '' && stack.bootPassword === '') {
      throw new DeployFailure(`dependency failed to start: container ${stack.appName}-db-1 is unhealthy`);
    }
    const opened = await host.open(stack.composeId, first, databaseSettings(db.command), stack.bootPassword);
    if (find(stack.composeId) !== stack) {
      // Deleted or deployed anew while it started.
      await opened.database.close();
      if (find(stack.composeId) === undefined) await host.remove(stack.composeId);
      throw new DeployFailure(`container ${stack.appName}-db-1 was removed while it started`);
    }
    stack.bootPassword = opened.bootPassword ?? stack.bootPassword;
    databases.set(stack.composeId, opened.database);
  }

  /** Starts the containers of a stack; the phase tells the outcome. */
  async function boot(stack: StackRecord): Promise<void> {
    stack.phase = 'starting';
    stack.startedAt = Date.now();
    for (const own of Object.values(stack.containers ?? {})) delete own.stoppedAt;
    state.save();
    try {
      await openDatabase(stack);
      await openPooler(stack);
      await openRelay(stack);
      stack.phase = 'healthy';
    } catch (error) {
      stack.phase = 'unhealthy';
      const message = error instanceof DeployFailure ? error.message : `container ${stack.appName}-db-1 is unhealthy: ${String(error)}`;
      throw new DeployFailure(message);
    } finally {
      state.save();
    }
  }

  /** Writes down what this deployment brings up, as docker would label and create the containers. */
  function record({ compose, services, domains, mounts }: Deployment): StackRecord {
    const before = find(compose.composeId);
    const stack: StackRecord = {
      composeId: compose.composeId,
      appName: compose.appName,
      services,
      domains: structuredClone(domains),
      certificates: certificates(domains, faults, before?.certificates ?? {}),
      kongYml: mounts.find((mount) => mount.filePath?.endsWith('/kong.yml'))?.content ?? '',
      badKeys: faults.take('bad-key'),
      bootPassword: before?.bootPassword ?? '',
      startedAt: Date.now(),
      containers: containersAfter(before, { services, domains }, Date.now()),
      phase: 'starting',
    };
    rows.stacks = [...rows.stacks.filter((other) => other !== before), stack];
    return stack;
  }

  function inBackground(work: Promise<void>): void {
    const kept: Promise<void> = work.catch(() => undefined).finally(() => background.delete(kept));
    background.add(kept);
  }

  return {
    async deploy(deployment) {
      const { composeId } = deployment.compose;
      const before = find(composeId);
      const stack = record(deployment);
      files.write(composeId, deployment.mounts);
      // A database whose container stays is not restarted.
      const stays = before?.phase === 'healthy' && before.containers?.db?.id === stack.containers?.db?.id;
      if (!stays) await closeDatabase(composeId);
      const failure = new DeployFailure(`dependency failed to start: container ${stack.appName}-db-1 is unhealthy`);
      if (faults.take('unhealthy-db')) {
        stack.phase = 'unhealthy';
        state.save();
        throw failure;
      }
      if (faults.take('slow-boot')) {
        state.save();
        inBackground(pause(3_000, signal).then(() => (signal.aborted || find(stack.composeId) !== stack ? undefined : boot(stack))));
        throw failure;
      }
      await boot(stack);
    },
    async start(composeId) {
      const stack = find(composeId);
      if (stack === undefined) return false;
      if (!isUp(stack)) await boot(stack);
      return true;
    },
    async stop(composeId) {
      const stack = find(composeId);
      if (stack === undefined) return false;
      poolers.delete(composeId);
      await closeRelay(composeId);
      await closeDatabase(composeId);
      Object.assign(stack, { phase: 'stopped', startedAt: Date.now() });
      state.save();
      return true;
    },
    async restart(composeId, service) {
      const stack = find(composeId);
      const own = stack?.containers?.[service];
      if (stack === undefined || own === undefined) return;
      Object.assign(own, { restartedAt: Date.now(), ill: faults.take('ill-restart') });
      delete own.stoppedAt;
      state.save();
      if (service === 'supavisor') {
        poolers.delete(composeId);
        await openPooler(stack);
      }
      if (service !== 'db') return;
      await closeDatabase(composeId);
      await openDatabase(stack);
    },
    async switchContainer(composeId, service, to) {
      const stack = find(composeId);
      const own = stack?.containers?.[service];
      if (stack === undefined || own === undefined || (to === 'running') === (own.stoppedAt === undefined)) return false;
      if (to === 'exited') own.stoppedAt = Date.now();
      else {
        delete own.stoppedAt;
        own.restartedAt = Date.now();
      }
      state.save();
      if (service === 'db') await (to === 'exited' ? closeDatabase(composeId) : openDatabase(stack));
      return true;
    },
    async remove(composeId) {
      poolers.delete(composeId);
      await closeRelay(composeId);
      await closeDatabase(composeId);
      rows.stacks = rows.stacks.filter((stack) => stack.composeId !== composeId);
      files.remove(composeId);
      state.save();
      await host.remove(composeId);
    },
    find,
    byAppName: (appName) => rows.stacks.find((stack) => stack.appName === appName),
    byHost(name) {
      for (const stack of rows.stacks.filter(isUp)) {
        const domain = stack.domains.find((row) => row.enabled && row.host.toLowerCase() === name.toLowerCase());
        // Without its container a route is gone: its labels are not there any more.
        if (domain !== undefined && stack.containers?.[domain.serviceName ?? '']?.stoppedAt === undefined) return { stack, domain };
      }
      return undefined;
    },
    hasCertificate: (name) => {
      const from = rows.stacks.map((stack) => stack.certificates[name.toLowerCase()]).find((at) => typeof at === 'number');
      return typeof from === 'number' && from <= Date.now();
    },
    database: (composeId) => databases.get(composeId),
    relayPort: (composeId) => relays.get(composeId)?.port,
    byTenant(id) {
      for (const { composeId } of rows.stacks.filter(isUp)) {
        const tenant = poolers.get(composeId)?.tenants.find((one) => one.id === id);
        const database = databases.get(composeId);
        if (tenant !== undefined && database !== undefined) return { database, tenant };
      }
      return undefined;
    },
    async restore() {
      const running = rows.stacks.filter((stack) => stack.phase === 'healthy' || stack.phase === 'starting');
      await Promise.all(running.map((stack) => boot(stack).catch(() => undefined)));
      // A relay that was up before the database beside it leads nowhere yet.
      for (const stack of running.filter(({ composeId }) => relays.has(composeId))) await openRelay(stack);
    },
    async close() {
      await Promise.all(background);
      await Promise.all([...relays.keys()].map(closeRelay));
      await host.close();
    },
  };
}

/** Reads the variables one service of a stack runs with. */
export const envOf = serviceEnv;

/** Literals that the gateway compares with; with the fault bad-key they are not those of the environment. */
export function gatewayKeys(stack: StackRecord): { anon: string; service: string } {
  const env = serviceEnv(stack, 'kong');
  if (stack.badKeys) return { anon: `other-${randomBytes(8).toString('hex')}`, service: `other-${randomBytes(8).toString('hex')}` };
  return { anon: env.SUPABASE_ANON_KEY ?? '', service: env.SUPABASE_SERVICE_KEY ?? '' };
}
