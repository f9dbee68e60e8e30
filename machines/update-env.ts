import { assign } from 'xstate';
import { z } from 'zod';
import { beginChange, type ChangeContext, changeOutput } from './change-context.ts';
import { changeEvents, editEvents, type editPayload, type setSecretPayload } from './change-events.ts';
import { answeredChange as answered, change, requestOf } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, fromStart, lookStates, planningState } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { editFields, updateRequest } from './effects/update-env.ts';
import type { WorkflowDefinition } from './workflow.ts';

const updateInput = z.strictObject({ target: targetName, ...editFields });

/** Edits add up: what came before stands, a later word on the same variable wins. */
function edited(context: ChangeContext, edit: z.infer<typeof editPayload>) {
  const { set = {}, unset = [], secrets = {}, https, force } = requestOf(updateRequest, context);
  const named = new Set([...Object.keys(edit.set ?? {}), ...(edit.unset ?? [])]);
  const left = (values: Record<string, string>) => Object.fromEntries(Object.entries(values).filter(([name]) => !named.has(name)));
  const request = {
    set: { ...left(set), ...edit.set },
    unset: [...unset.filter((name) => !named.has(name)), ...(edit.unset ?? [])],
    secrets: left(secrets),
    https: edit.https ?? https ?? false,
    force: edit.force ?? force ?? false,
  };
  return { ...answered, ...fromStart, request };
}

function withSecret(context: ChangeContext, { variable, value }: z.infer<typeof setSecretPayload>) {
  const { set = {}, unset = [], secrets, ...rest } = requestOf(updateRequest, context);
  const request = {
    ...rest,
    set: Object.fromEntries(Object.entries(set).filter(([name]) => name !== variable)),
    unset: unset.filter((name) => name !== variable),
    secrets: { ...secrets, [variable]: value },
  };
  return { ...answered, ...fromStart, request };
}

export const updateEnvMachine = change.createMachine({
  id: 'update-env',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'starting',
  output: ({ context }) => changeOutput(context),
  states: {
    starting: {
      meta: { title: 'Start' },
      always: [
        { guard: ({ context: { request } }) => Object.keys(request).some((name) => name !== 'force'), target: 'looking' },
        { target: 'edit' },
      ],
    },
    edit: {
      meta: { title: 'What shall change?', step: 1, events: { edit: editEvents.edit, setSecret: editEvents.setSecret } },
      on: {
        edit: { target: 'looking', actions: assign(({ context, event: { type: _, ...edit } }) => edited(context, edit)) },
        setSecret: { target: 'looking', actions: assign(({ context, event: { type: _, ...secret } }) => withSecret(context, secret)) },
      },
    },
    ...lookStates,
    planFailed: {
      meta: { title: 'No plan could be made', step: 2, events: { ...editEvents, lookAgain: changeEvents.lookAgain } },
      on: {
        edit: { target: 'looking', actions: assign(({ context, event: { type: _, ...edit } }) => edited(context, edit)) },
        setSecret: { target: 'looking', actions: assign(({ context, event: { type: _, ...secret } }) => withSecret(context, secret)) },
        lookAgain: { target: 'looking', actions: assign({ ...answered, ...fromStart }) },
      },
    },
    planning: planningState('Editing and checking the environment', 'updateEnv.planChange@1', updateRequest),
    ...applyStates,
    ...endStates,
  },
});

export const updateEnv = {
  name: 'update-env',
  title: 'Change the environment of an instance',
  description:
    'Sets and unsets variables of a running Supabase, or turns http into https in all its addresses; comments, order and every other line stay byte for byte. The doctor looks at the result first, and what would make it worse is refused. Secrets come by reference only (setSecret). Approved, written, deployed, proven by live requests; taken back by itself where they were green before. Risks: the named containers restart. Usual duration: 1 to 5 minutes after the approval.',
  aliases: ['update_env', 'dokploy_update_env', 'convert_protocols', 'dokploy_convert_protocols'],
  revision: 1,
  machine: updateEnvMachine,
  input: updateInput,
  steps: changeSteps('the text is edited, and the doctor looks at the result'),
  show: [...changeShow],
} as const satisfies WorkflowDefinition;
