/** The story of the demo: two runs of the wizard by a scripted agent, a SIGKILL in the middle, a rollback at the end. */
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { type Agent, type AgentView, startAgent } from './agent.ts';
import type { SandboxProcess } from './sandbox-process.ts';
import { countAppliedTwice, leftoversOf, type Verdicts } from './verdicts.ts';

export const sabotages = ['double-deploy', 'leftover', 'bad-key'] as const;
export type Sabotage = (typeof sabotages)[number];

export type Stage = { main: string; home: string; sandbox: SandboxProcess; sabotage: Sabotage | undefined; say: (text: string) => void };

/** Plays it and judges by the sandbox's journal. Throws only when a step that must work without sabotage did not. */
export async function playStory(stage: Stage): Promise<Verdicts> {
  const began = Date.now();
  const { sandbox, sabotage, say } = stage;
  if (sabotage === 'bad-key') await sandbox.setFaults(['bad-key']);
  say('1  An agent sets up Supabase for "shop" by the nine-step wizard');
  const first = await startServer(stage);
  const shop = await toReview(first, 'shop', say);
  await sandbox.setFaults(['slow-deploy', ...(sabotage === 'bad-key' ? ['bad-key'] : [])]);
  await first.call('advance_run', { run: shop, event: 'approve', waitMs: 0 });
  const { description } = await deployStarted(sandbox, shop);
  say(`   deploying … kill -9 of the server (process ${first.pid})`);
  first.kill();
  await sandbox.setFaults(sabotage === 'bad-key' ? ['bad-key'] : []);

  say('2  A new server finds the run and goes on');
  const second = await startServer(stage);
  const deployed = await second.settled(shop, (text) => say(`   ${text}`));
  const probes = probesIn(deployed);
  const verified = deployed.state === 'verified' && probes.length > 0 && probes.every((probe) => probe.ok);
  const resumed = deployed.status === 'waiting' && ['verified', 'verificationFailed'].includes(deployed.state);
  for (const probe of probes) say(`   ${probe.ok ? '✓' : '✗'} ${probe.name}`);
  if (sabotage === 'double-deploy') await deployAgain(sandbox, shop, description);
  let rolledBack = false;
  let leftovers: string[] = [];
  if (verified) {
    await second.call('advance_run', { run: shop, event: 'handover', waitMs: 0 });
    const done = await second.settled(shop, (text) => say(`   ${text}`));
    say(`   handed over: ${done.status}`);
    say('3  A second instance, "trial", is deployed and then taken back to its name step');
    ({ rolledBack, leftovers } = await playRollback(stage, second));
  }
  await second.close();
  const effectsAppliedTwice = countAppliedTwice(await sandbox.journal());
  return {
    resumed,
    verified,
    probes,
    effectsAppliedTwice,
    rolledBack,
    leftovers: leftovers.length,
    seconds: Math.round((Date.now() - began) / 100) / 10,
  };
}

async function playRollback({ sandbox, sabotage, say }: Stage, agent: Agent): Promise<{ rolledBack: boolean; leftovers: string[] }> {
  const trial = await toReview(agent, 'trial', say);
  await agent.call('advance_run', { run: trial, event: 'approve', waitMs: 0 });
  const ready = await agent.settled(trial, (text) => say(`   ${text}`));
  expectState(ready, 'verified');
  if (sabotage === 'leftover') await sandbox.setFaults(['keep-on-delete']);
  const to = ready.checkpoints.find((row) => row.name === 'name')?.to;
  if (to === undefined) throw new AppError('DEMO_FAILED', { message: 'The run has no checkpoint "name".' });
  await agent.call('rollback_run', { run: trial, to, waitMs: 0 });
  const back = await agent.settled(trial, (text) => say(`   ${text}`));
  const leftovers = leftoversOf(await sandbox.journal(), trial);
  say(
    `   the run is ${back.status} in "${back.state}"; left over on the server: ${leftovers.length === 0 ? 'nothing' : leftovers.join(', ')}`,
  );
  return { rolledBack: back.status === 'waiting' && back.state === 'name', leftovers };
}

function startServer({ main, home, say }: Stage): Promise<Agent> {
  return startAgent(main, home, (statement) => {
    say(`   the person approves: ${statement.split('\n')[0]}`);
    return true;
  });
}

/** The answers of the wizard's first five steps. */
async function toReview(agent: Agent, name: string, say: (text: string) => void): Promise<string> {
  const { runId: run } = await agent.call('start_workflow', { workflow: 'setup-supabase', name, input: { dokploy: 'demo' } });
  const steps: [state: string, event: string, payload: Record<string, unknown>][] = [
    ['name', 'name', { name }],
    ['secrets', 'generate', {}],
    ['smtp', 'skipSmtp', {}],
    ['domain', 'domain', { host: `${name}.supabase.test` }],
  ];
  for (const [state, event, payload] of steps) {
    const view = await agent.settled(run, () => undefined);
    expectState(view, state);
    say(`   ${view.title}: ${event}${Object.keys(payload).length > 0 ? ` ${JSON.stringify(payload)}` : ''}`);
    await agent.call('advance_run', { run, event, payload, expectedVersion: view.version, waitMs: 0 });
  }
  expectState(await agent.settled(run, () => undefined), 'review');
  return run;
}

function expectState(view: AgentView, state: string): void {
  if (view.state === state && view.status === 'waiting') return;
  const why = view.error ? ` ${view.error.code}: ${view.error.message}` : '';
  throw new AppError('DEMO_FAILED', {
    message: `The run ${view.name} should wait in "${state}" but is ${view.status} in "${view.state}".${why}`,
  });
}

const deployBody = z.looseObject({ description: z.string(), title: z.string(), composeId: z.string() });

/** Waits until the sandbox took the deployment in: then the server is in the middle of it. */
async function deployStarted(sandbox: SandboxProcess, run: string): Promise<z.infer<typeof deployBody>> {
  for (const until = Date.now() + 30_000; Date.now() < until; await wait(100)) {
    const entry = (await sandbox.journal()).find(
      (row) => row.procedure === 'compose.deploy' && row.applied && JSON.stringify(row.body).includes(run),
    );
    if (entry) return deployBody.parse(entry.body);
  }
  throw new AppError('DEMO_FAILED', { message: 'The deployment did not reach the sandbox within 30 s.' });
}

/** Sabotage: the same deployment a second time, as a careless tool would send it after a crash. */
async function deployAgain(sandbox: SandboxProcess, run: string, description: string): Promise<void> {
  const { composeId, title } = await deployStarted(sandbox, run);
  await sandbox.post('compose.deploy', { composeId, title, description });
}

const verificationSchema = z.looseObject({ checks: z.array(z.looseObject({ name: z.string(), ok: z.boolean().nullable() })) });

/** Checks that were not run count as not passed. */
function probesIn(view: AgentView): { name: string; ok: boolean }[] {
  const verification = verificationSchema.safeParse(view.details['verification']);
  return verification.success ? verification.data.checks.map(({ name, ok }) => ({ name, ok: ok === true })) : [];
}
