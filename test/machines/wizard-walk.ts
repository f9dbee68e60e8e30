/** Walks the wizard by pure steps, as the engine does, with outcomes made up for each effect. */
import { type ContractName as AnyContract, contracts } from '../../machines/effects/registry.ts';
import { setupSupabaseMachine } from '../../machines/setup-supabase.ts';
import type { WizardContext } from '../../machines/wizard-context.ts';
import { begin, type Operation, plan } from '../../src/engine/plan.ts';

export type Walk = {
  state: string;
  context: WizardContext;
  started: Operation[];
  persisted: unknown;
  status: string;
  output: unknown;
  accepted: boolean;
};

/** One plausible good outcome per contract; each is checked against the contract's own schema. */
export const outcomes = {
  'dokploy.checkConnection@1': {
    version: 'v0.30.2',
    serverIp: '203.0.113.7',
    letsEncryptEmail: 'a@shop.org',
    projects: 1,
    servers: 0,
    warnings: [{ code: 'KEY_SENT_IN_CLEAR', say: 'x' }],
  },
  'template.fetch@1': {
    artifact: 'artifact:t',
    sha256: 'abc',
    baseUrl: 'https://t',
    services: ['db', 'kong'],
    postgres: { image: 'supabase/postgres:17.6', tag: '17.6', major: 17 },
  },
  'dokploy.checkName@1': { free: true },
  'secrets.generateSupabase@1': {
    references: { ANON_KEY: 'secret:a', SERVICE_ROLE_KEY: 'secret:s', POSTGRES_PASSWORD: 'secret:p' },
    poolerTenantId: 'tenant',
    keysIssuedAt: '2026-11-22T00:00:00.000Z',
    keysExpireAt: '2031-11-21T00:00:00.000Z',
  },
  'smtp.verify@1': { verified: true, warnings: [] },
  'dns.checkDomain@1': { state: 'points-here', say: 'ok', warnings: [] },
  'supabase.planChange@1': {
    plan: 'artifact:p',
    planHash: 'hash-1',
    summary: [],
    patches: [],
    findings: [],
    services: ['db', 'kong'],
    postgres: null,
    url: 'https://db.shop.org',
  },
  'dokploy.createProject@1': { projectId: 'P', environmentId: 'E' },
  'dokploy.createCompose@1': { composeId: 'C', appName: 'shop-supabase-x1' },
  'dokploy.importTemplate@1': { composeHash: 'ch', mounts: 3, domains: 1 },
  'dokploy.saveEnvironment@1': { envHash: 'eh', variables: 60 },
  'dokploy.configureDomain@1': { domainId: 'D', host: 'db.shop.org', https: true },
  'dokploy.deployCompose@1': { deploymentId: 'Y', status: 'done' },
  'dokploy.awaitHealth@1': { services: 2, healthy: 2, withoutCheck: 0, finished: 0 },
  'supabase.verifyInstance@1': {
    verdict: 'passed',
    checks: [{ name: 'certificate', ok: true, side: 'none', say: 'x' }],
    warnings: [],
    postgresMajor: 17,
    maxConnections: 100,
  },
  'tls.awaitCertificate@1': { issuer: 'R3', expiresAt: '2027-01-01T00:00:00.000Z', daysLeft: 80 },
  'target.register@1': { target: 'shop', urls: { api: 'https://db.shop.org' }, secrets: {}, connectionStrings: [], nextSteps: [] },
} as const satisfies Partial<Record<AnyContract, unknown>>;

/** What the wizard asks for. */
export type ContractName = keyof typeof outcomes;

export const smtpEvent = {
  type: 'smtp',
  host: 'smtp.shop.org',
  port: 587,
  user: 'u',
  pass: 'secret:m',
  adminEmail: 'a@shop.org',
  senderName: 'Shop',
};
export const domainEvent = { type: 'domain', host: 'db.shop.org' };

/** A person's events that lead to the review and beyond. */
export const answers = [
  { type: 'connect', dokploy: 'home' },
  { type: 'name', name: 'shop' },
  { type: 'generate' },
  smtpEvent,
  domainEvent,
  { type: 'approve' },
  { type: 'handover' },
];

export function start(input: { dokploy?: string; name?: string } = {}): Walk {
  return toWalk(begin(setupSupabaseMachine, input));
}

export function send(walk: Walk, event: { type: string; [key: string]: unknown }): Walk {
  return toWalk(plan(setupSupabaseMachine, walk.persisted, event));
}

/** The effect that the state waits for. Throws when there is not exactly one. */
export function wanted(walk: Walk): { invokeId: string; contract: ContractName; input: unknown } {
  const [operation, ...more] = walk.started;
  if (operation?.op !== 'start' || more.length > 0 || !(operation.contract in outcomes))
    throw new Error(`${walk.state} wants ${JSON.stringify(walk.started)}`);
  return operation as { invokeId: string; contract: ContractName; input: unknown }; // just checked
}

/** The wanted effect ends well, by default with its plausible outcome. */
export function succeed(walk: Walk, output?: unknown): Walk {
  const { invokeId, contract } = wanted(walk);
  const given = contracts[contract].output.parse(output ?? outcomes[contract]);
  return send(walk, { type: `xstate.done.actor.${invokeId}`, actorId: invokeId, output: given });
}

export const sorry = { code: 'BROKEN', message: 'It broke.', fix: 'Mend it.', retry: 'never' as const };

export function fail(walk: Walk, error: unknown = sorry): Walk {
  const { invokeId } = wanted(walk);
  return send(walk, { type: `xstate.error.actor.${invokeId}`, actorId: invokeId, error });
}

/** From the start to a state by good outcomes and the given answers. Throws when the state is not on that way. */
export function walkTo(state: string, given: readonly { type: string }[] = answers): Walk {
  let walk = start();
  const left = [...given];
  for (let steps = 0; steps < 60; steps++) {
    if (walk.state === state) return walk;
    if (walk.started.length > 0) walk = succeed(walk);
    else {
      const event = left.shift();
      if (!event) break;
      walk = send(walk, event);
    }
  }
  throw new Error(`${state} was not reached; the walk ended in ${walk.state}`);
}

function toWalk(step: ReturnType<typeof begin>): Walk {
  const { snapshot } = step;
  return {
    state: String(snapshot.value),
    context: snapshot.context as WizardContext, // the machine's own context type; AnyMachineSnapshot forgets it
    started: step.operations.filter((operation) => operation.op === 'start'),
    persisted: step.persisted,
    status: snapshot.status,
    output: snapshot.output,
    accepted: step.accepted,
  };
}
