/**
 * A real process that walks the wizard with the whole product in it, and kills itself at a named point.
 * One JSON object in CAPSTAN_TEST_WIZARD says what to do; the last line printed is the end it came to.
 */
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import { openDesk } from '../../src/desk.ts';
import { createLimiters } from '../../src/effects/dokploy/rate-limit.ts';
import { createHandlers } from '../../src/effects/handlers.ts';
import { createHands } from '../../src/effects/hands.ts';
import type { ContractLike } from '../../src/engine/ports.ts';
import type { RunView } from '../../src/engine/view.ts';
import { AppError } from '../../src/errors.ts';
import { toJsonSchema } from '../../src/json-schema.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { toTargetRecord } from '../../src/target-place.ts';
import { dieAt } from './kill-points.ts';

export type WizardTask = {
  home: string;
  /** Name of run and project. */
  name: string;
  dokploy: { url: string; apiKey: string; ca: string; resolve: string[]; templateBaseUrl: string };
  /** `name` means: deploy, then roll back to the name step. */
  until: 'verified' | 'done' | 'name';
  /** How long an effect in doubt is asked about; default: as its contract says. */
  deadlineMs?: number;
  point?: string;
  effect?: string;
};

export type WizardEnd = { runId: string; state: string; status: string; error?: string; seqs: number[]; open: number; undone: string[] };

/** Only what was refused or never arrived waits for this long: the sandbox answers within milliseconds. */
const settleMs = 1_500;
const me = { principal: 'tester', door: 'test' };
const person = { principal: 'person', level: 'terminal' as const, door: 'test' };

// The test that starts this program wrote the task in this shape.
const task = JSON.parse(process.env['CAPSTAN_TEST_WIZARD'] ?? '{}') as WizardTask;
const quickContracts: Record<string, ContractLike> = Object.fromEntries(
  Object.entries(contracts).map(([name, contract]: [string, ContractLike]) => [
    name,
    contract.settleMs === undefined ? contract : { ...contract, settleMs, ...(task.deadlineMs ? { deadlineMs: task.deadlineMs } : {}) },
  ]),
);

const scrubber = createScrubber();
const desk = await openDesk({
  home: task.home,
  workflows: Object.values(workflows),
  contracts: quickContracts,
  toJsonSchema,
  log: createLog({ level: process.env['CAPSTAN_TEST_LOG'] ?? 'silent', scrubber }),
  scrubber,
  readVariable: (name) => process.env[name],
  wrapStore: dieAt(task.point, task.effect),
  hands({ vault, registry, clock, rates }) {
    const templateBaseUrlFor = async (name: string) => (await registry.dokploy(name)).options.templateBaseUrl;
    const handlers = createHandlers({ limiterFor: createLimiters({ turnstile: rates }), templateBaseUrlFor, healthTimeoutMs: 30_000 });
    return createHands({
      handlers,
      now: clock.now,
      wait: clock.wait,
      vault,
      async dokploy(name) {
        const { url, keySecret, options } = await registry.dokploy(name);
        const { ca, resolve } = options;
        const reach = { ...(ca === undefined ? {} : { ca }), ...(resolve === undefined ? {} : { resolve }) };
        return { name, url, apiKey: await vault.reveal(keySecret), reach };
      },
      target: async (name) => toTargetRecord(await registry.target(name)),
      snapshots: (target) => registry.snapshots(target),
    });
  },
});
const { engine, registry, vault, store } = desk;

if ((await registry.dokploys()).length === 0) {
  const key = vault.stageSecret('dokploy:home', 'key', task.dokploy.apiKey);
  const { url, ca, resolve, templateBaseUrl } = task.dokploy;
  await registry.addDokploy({ name: 'home', url, keySecret: `secret:${key.id}`, options: { ca, resolve, templateBaseUrl } }, [key]);
}
desk.worker.start();

const answers: Record<string, [event: string, payload: Record<string, unknown>]> = {
  name: ['name', { name: task.name }],
  secrets: ['generate', {}],
  smtp: [
    'smtp',
    {
      host: 'mail.test',
      port: 587,
      user: 'mailer@example.test',
      pass: 'env:CAPSTAN_TEST_MAIL_PASS',
      adminEmail: 'admin@example.test',
      senderName: 'Test',
    },
  ],
  domain: ['domain', { host: `${task.name}.supabase.test` }],
  review: ['approve', {}],
  verified: ['handover', {}],
};

const { runId } = await engine.start(
  { workflow: 'setup-supabase', name: task.name, input: { dokploy: 'home' }, requestKey: `start ${task.name}` },
  me,
);

async function approved(ask: () => Promise<unknown>): Promise<void> {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'APPROVAL_REQUIRED')) throw error;
    const request = (await engine.pendingApprovals(runId)).at(-1);
    if (!request) throw error;
    await engine.approve(request.id, person);
  }
}

async function walk(): Promise<RunView> {
  for (let steps = 0; steps < 30; steps++) {
    const view = await engine.waitFor(runId, { waitMs: 90_000 });
    const back = (await engine.timeline(runId, { after: 0, limit: 500 })).some((event) => event.type === 'capstan.rolled_back');
    const reached = view.state === task.until && (task.until !== 'name' || back);
    if (reached || view.status !== 'waiting' || view.error) return view;
    const answer = answers[view.state];
    if (task.until === 'name' && view.state === 'verified') await approved(() => engine.rollback({ run: runId, to: 'name' }, me));
    else if (answer) await approved(() => engine.advance({ run: runId, event: answer[0], payload: answer[1] }, me));
    else return view;
  }
  throw new Error('the wizard goes round in circles');
}

const view = await walk();
const rows = await store.effects(runId);
const end: WizardEnd = {
  runId,
  state: view.state,
  status: view.status,
  ...(view.error ? { error: `${view.error.code}: ${view.error.message}` } : {}),
  seqs: (await engine.timeline(runId, { after: 0, limit: 500 })).map((event) => event.seq),
  open: rows.filter((row) => ['intent', 'running', 'cancelling'].includes(row.status)).length,
  undone: rows.filter((row) => row.kind === 'undo' && row.status === 'done').map((row) => row.invokeId),
};
process.stdout.write(`${JSON.stringify(end)}\n`);
await desk.worker.stop(1_500);
desk.close();
process.exit(0);
