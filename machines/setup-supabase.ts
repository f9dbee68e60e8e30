/**
 * The nine-step wizard (design §7). Invariants:
 * 1. Only assign, raise and cancel; every call outside is an invoke of a contract (R1, R2).
 * 2. No checkpoint between review and verified: new passwords fail on an old data folder (design §7).
 * 3. Writes of step 7 take their content from the plan artifact only; the machine hands on ids that earlier effects returned (A1).
 * 4. An error leads to a state where a person can act, and is kept in `context.error` until the next event.
 */
import { askStates } from './wizard-ask.ts';
import { initialContext, need } from './wizard-context.ts';
import { deployStates } from './wizard-deploy.ts';
import { wizard } from './wizard-setup.ts';
import { verifyStates } from './wizard-verify.ts';

export const setupSupabaseMachine = wizard.createMachine({
  id: 'setup-supabase',
  context: ({ input }) => initialContext(input),
  initial: 'starting',
  output: ({ context }) => {
    const handover = need(context.handover, 'handover');
    return {
      ...handover,
      url: need(context.plan, 'plan').url,
      postgresMajor: context.verification?.postgresMajor ?? null,
      checks: context.verification?.checks ?? [],
      warnings: context.warnings,
    };
  },
  states: {
    starting: {
      meta: { title: 'Start' },
      always: [{ guard: 'dokployGiven', target: 'checkingDokploy' }, { target: 'connect' }],
    },
    ...askStates,
    ...deployStates,
    ...verifyStates,
  },
});
