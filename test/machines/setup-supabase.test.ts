import { describe, expect, it } from 'vitest';
import { contracts } from '../../machines/effects/registry.ts';
import { setupSupabaseMachine } from '../../machines/setup-supabase.ts';
import type { DeployState } from '../../machines/wizard-context.ts';
import { answers, domainEvent, fail, outcomes, send, smtpEvent, sorry, start, succeed, type Walk, walkTo, wanted } from './wizard-walk.ts';

const deployStates: DeployState[] = [
  'creatingProject',
  'creatingService',
  'importingTemplate',
  'writingEnvironment',
  'routingDomain',
  'deploying',
  'awaitingHealth',
];

describe('the straight way', () => {
  it('passes every step in order and ends as done with an output', () => {
    const seen: string[] = [];
    let walk = start();
    const left = [...answers];
    for (let steps = 0; steps < 60 && walk.status === 'active'; steps++) {
      seen.push(walk.state);
      const event = walk.started.length > 0 ? undefined : left.shift();
      walk = event ? send(walk, event) : succeed(walk);
    }
    expect(seen).toEqual([
      'connect',
      'checkingDokploy',
      'fetchingTemplate',
      'name',
      'checkingName',
      'secrets',
      'generatingSecrets',
      'smtp',
      'testingSmtp',
      'domain',
      'checkingDomain',
      'planning',
      'review',
      ...deployStates,
      'verifying',
      'verified',
      'handingOver',
    ]);
    expect(walk.status).toBe('done');
    expect(walk.output).toMatchObject({
      target: 'shop',
      url: 'https://db.shop.org',
      postgresMajor: 17,
      warnings: [{ code: 'KEY_SENT_IN_CLEAR' }],
    });
  });

  it('gives every effect an input that its contract accepts', () => {
    const given = new Set<string>();
    for (const state of [
      'checkingDokploy',
      'fetchingTemplate',
      'checkingName',
      'generatingSecrets',
      'testingSmtp',
      'checkingDomain',
      'planning',
      ...deployStates,
      'verifying',
      'handingOver',
    ]) {
      const { contract, input } = wanted(walkTo(state));
      expect(contracts[contract].input.parse(input), contract).toEqual(input);
      given.add(contract);
    }
    const waiting = wanted(succeed(walkTo('verifying'), { ...outcomes['supabase.verifyInstance@1'], verdict: 'certificatePending' }));
    expect(contracts[waiting.contract].input.parse(waiting.input)).toEqual(waiting.input);
    given.add(waiting.contract);
    expect([...given].sort()).toEqual(Object.keys(setupSupabaseMachine.implementations.actors).sort());
  });

  it('starts at the check when the dokploy is given, and proposes the given name without taking it', () => {
    const walk = start({ dokploy: 'home', name: 'shop' });
    expect(walk.state).toBe('checkingDokploy');
    const named = succeed(succeed(walk));
    expect(named.state).toBe('name');
    expect(named.context).toMatchObject({ proposedName: 'shop', name: null });
  });

  it('gives the secrets to the target as references, the mail password included', () => {
    expect(wanted(walkTo('handingOver')).input).toMatchObject({
      references: { ANON_KEY: 'secret:a', SMTP_PASS: 'secret:m' },
      poolerTenantId: 'tenant',
      environment: 'development',
    });
  });
});

describe('each answer', () => {
  const certificatePending = () =>
    succeed(walkTo('verifying'), { ...outcomes['supabase.verifyInstance@1'], verdict: 'certificatePending' });
  const failedChecks = () =>
    succeed(walkTo('verifying'), {
      ...outcomes['supabase.verifyInstance@1'],
      verdict: 'failed',
      checks: [{ name: 'service-key-is-admin', ok: false, side: 'gateway', say: 'x' }],
    });
  it.each<[string, () => Walk, { type: string; [key: string]: unknown }, string]>([
    ['connect', () => start(), { type: 'connect', dokploy: 'home' }, 'checkingDokploy'],
    ['name', () => walkTo('name'), { type: 'name', name: 'shop', environment: 'production' }, 'checkingName'],
    ['secrets', () => walkTo('secrets'), { type: 'generate', maxConnections: 200 }, 'generatingSecrets'],
    ['smtp', () => walkTo('smtp'), smtpEvent, 'testingSmtp'],
    ['smtp', () => walkTo('smtp'), { type: 'skipSmtp' }, 'domain'],
    ['domain', () => walkTo('domain'), domainEvent, 'checkingDomain'],
    ['review', () => walkTo('review'), { type: 'approve' }, 'creatingProject'],
    ['review', () => walkTo('review'), { type: 'change', step: 'name' }, 'name'],
    ['review', () => walkTo('review'), { type: 'change', step: 'secrets' }, 'secrets'],
    ['review', () => walkTo('review'), { type: 'change', step: 'smtp' }, 'smtp'],
    ['review', () => walkTo('review'), { type: 'change', step: 'domain' }, 'domain'],
    ['verified', () => walkTo('verified'), { type: 'handover' }, 'handingOver'],
    ['awaitingCertificate', certificatePending, { type: 'continueWithoutCertificate' }, 'verified'],
    ['certificateMissing', () => fail(certificatePending()), { type: 'retry' }, 'awaitingCertificate'],
    ['certificateMissing', () => fail(certificatePending()), { type: 'continueWithoutCertificate' }, 'verified'],
    ['verificationFailed', failedChecks, { type: 'retry' }, 'verifying'],
    ['verificationFailed', failedChecks, { type: 'acceptWithWarning' }, 'verified'],
  ])('in %s leads on', (state, at, event, target) => {
    const walk = at();
    expect(walk.state).toBe(state);
    const next = send(walk, event);
    expect(next.accepted).toBe(true);
    expect(next.state).toBe(target);
    expect(next.context.error).toBeNull();
  });

  it('of another state is refused and changes nothing', () => {
    const walk = walkTo('review');
    const refused = send(walk, { type: 'handover' });
    expect(refused.accepted).toBe(false);
    expect(refused.persisted).toBe(walk.persisted);
  });

  it('that is changed from the review leaves the later ones standing', () => {
    for (const [step, event, checks] of [
      ['name', { type: 'name', name: 'other' }, 1],
      ['secrets', { type: 'generate' }, 1],
      ['smtp', { type: 'skipSmtp' }, 0],
      ['smtp', smtpEvent, 1],
    ] as const) {
      let walk = send(send(walkTo('review'), { type: 'change', step }), event);
      expect(walk.context.planHash, 'an old plan cannot be approved').toBeNull();
      for (let i = 0; i < checks; i++) walk = succeed(walk);
      expect(walk.state, step).toBe('planning');
      expect(succeed(walk).context).toMatchObject({ changing: false, planHash: 'hash-1' });
    }
  });
});

describe('each failure', () => {
  it.each([
    ['checkingDokploy', 'connect'],
    ['fetchingTemplate', 'connect'],
    ['checkingName', 'name'],
    ['generatingSecrets', 'secrets'],
    ['testingSmtp', 'smtp'],
    ['checkingDomain', 'domain'],
    ['planning', 'domain'],
    ...deployStates.map((state) => [state, 'deployFailed']),
    ['verifying', 'verificationFailed'],
    ['handingOver', 'verified'],
  ])('of %s rests in %s with its error, which the next answer clears', (state, target) => {
    const failed = fail(walkTo(state));
    expect(failed.state).toBe(target);
    expect(failed.context.error).toEqual(sorry);
    expect(failed.started).toEqual([]);
  });

  it.each(deployStates)('of %s can be tried again in that very state', (state) => {
    const again = send(fail(walkTo(state)), { type: 'retry' });
    expect(again.state).toBe(state);
    expect(again.context.error).toBeNull();
    expect(wanted(again).contract).toBe(wanted(walkTo(state)).contract);
  });

  it('of the health check can be answered by a new deployment', () => {
    expect(send(fail(walkTo('awaitingHealth')), { type: 'retry', redeploy: true }).state).toBe('deploying');
  });

  it('of the waiting for a certificate rests in certificateMissing, its success checks again', () => {
    const pending = succeed(walkTo('verifying'), { ...outcomes['supabase.verifyInstance@1'], verdict: 'certificatePending' });
    expect(succeed(pending).state).toBe('verifying');
    expect(fail(pending).state).toBe('certificateMissing');
  });

  it('that is no ErrorRecord keeps its text', () => {
    expect(fail(walkTo('checkingName'), 'odd').context.error).toEqual({ code: 'INTERNAL', message: 'odd', retry: 'never' });
  });

  it('of live checks names them', () => {
    const failed = succeed(walkTo('verifying'), {
      ...outcomes['supabase.verifyInstance@1'],
      verdict: 'failed',
      checks: [
        { name: 'storage-answers', ok: false, side: 'upstream', say: 'x' },
        { name: 'not-run', ok: null, side: 'none', say: 'x' },
      ],
    });
    expect(failed.state).toBe('verificationFailed');
    expect(failed.context.error?.message).toBe('Live checks of the instance failed: storage-answers.');
  });
});

describe('warnings', () => {
  it('stand once each, and go when their cause goes', () => {
    const skipped = send(walkTo('smtp'), { type: 'skipSmtp' });
    expect(skipped.context.warnings.map((warning) => warning.code)).toEqual(['KEY_SENT_IN_CLEAR', 'SMTP_SKIPPED']);
    const reviewed = succeed(succeed(send(skipped, domainEvent)));
    const set = succeed(send(send(reviewed, { type: 'change', step: 'smtp' }), smtpEvent));
    expect(set.context.warnings.map((warning) => warning.code)).toEqual(['KEY_SENT_IN_CLEAR']);
  });

  it('tell of an instance that went on without certificate or with failed checks', () => {
    const pending = succeed(walkTo('verifying'), { ...outcomes['supabase.verifyInstance@1'], verdict: 'certificatePending' });
    expect(send(pending, { type: 'continueWithoutCertificate' }).context.warnings.map((warning) => warning.code)).toContain(
      'CERTIFICATE_MISSING',
    );
    const failed = succeed(walkTo('verifying'), { ...outcomes['supabase.verifyInstance@1'], verdict: 'failed' });
    const accepted = send(failed, { type: 'acceptWithWarning' });
    expect(accepted.context.warnings.map((warning) => warning.code)).toContain('VERIFICATION_FAILED');
  });
});

describe('resting', () => {
  const metas = Object.fromEntries(Object.entries(setupSupabaseMachine.states).map(([name, state]) => [name, state.meta ?? {}]));

  it('places have a checkpoint where rollback may lead, and none between review and verified', () => {
    const names = Object.entries(metas).flatMap(([name, meta]) => (meta.checkpoint ? [[name, meta.checkpoint]] : []));
    expect(names).toEqual([...['connect', 'name', 'secrets', 'smtp', 'domain', 'review', 'verified'].map((name) => [name, name])]);
    const points = new Set(names.map(([, point]) => point));
    for (const [name, meta] of Object.entries(metas)) if (meta.rollback) expect(points.has(meta.rollback.to), name).toBe(true);
  });

  it('places say step, title and every event that they take', () => {
    for (const [name, state] of Object.entries(setupSupabaseMachine.states)) {
      const meta = metas[name] ?? {};
      expect(meta.title, name).toBeTruthy();
      if (name !== 'starting') expect(meta.step, name).toBeGreaterThan(0);
      const outside = Object.keys(state.config.on ?? {}).sort();
      expect(Object.keys(meta.events ?? {}).sort(), name).toEqual(outside);
    }
    expect(new Set(Object.values(metas).flatMap((meta) => meta.step ?? [])).size).toBe(9);
  });

  it('is reached for every state', () => {
    const reached = new Set<string>([
      'starting',
      'connect',
      'deployFailed',
      'verificationFailed',
      'certificateMissing',
      'awaitingCertificate',
      'done',
      ...deployStates,
    ]);
    for (const name of Object.keys(setupSupabaseMachine.states)) if (!reached.has(name)) expect(walkTo(name).state).toBe(name);
  });
});
