import { assign } from 'xstate';
import { need, toRunError } from './run-context.ts';
import type { DeployState } from './wizard-context.ts';
import { events } from './wizard-events.ts';
import { answered, scope, serviceOf, wizard } from './wizard-setup.ts';

/** Kept when a step of the deploy chain fails: where, and why. */
const failure = (failedAt: DeployState, error: unknown) => ({ failedAt, error: toRunError(error) });

/** Step 7: one effect per state and no checkpoint in between; any failure rests in `deployFailed`. */
export const deployStates = {
  // 7 deploy
  creatingProject: wizard.createStateConfig({
    meta: { title: 'Creating the project', step: 7 },
    invoke: {
      id: 'createProject',
      src: 'dokploy.createProject@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'creatingService', actions: assign(({ event }) => ({ project: event.output })) },
      onError: { target: 'deployFailed', actions: assign(({ event }) => failure('creatingProject', event.error)) },
    },
  }),
  creatingService: wizard.createStateConfig({
    meta: { title: 'Creating the service', step: 7 },
    invoke: {
      id: 'createService',
      src: 'dokploy.createCompose@1',
      input: ({ context }) => ({ ...scope(context), serverId: context.serverId, ...need(context.project, 'project') }),
      onDone: { target: 'importingTemplate', actions: assign(({ event }) => ({ service: event.output })) },
      onError: { target: 'deployFailed', actions: assign(({ event }) => failure('creatingService', event.error)) },
    },
  }),
  importingTemplate: wizard.createStateConfig({
    meta: { title: 'Importing the template', step: 7 },
    invoke: {
      id: 'importTemplate',
      src: 'dokploy.importTemplate@1',
      input: ({ context }) => serviceOf(context),
      onDone: { target: 'writingEnvironment', actions: assign(({ event }) => ({ imported: event.output })) },
      onError: { target: 'deployFailed', actions: assign(({ event }) => failure('importingTemplate', event.error)) },
    },
  }),
  writingEnvironment: wizard.createStateConfig({
    meta: { title: 'Writing the environment', step: 7 },
    invoke: {
      id: 'writeEnvironment',
      src: 'dokploy.saveEnvironment@1',
      input: ({ context }) => serviceOf(context),
      onDone: { target: 'routingDomain', actions: assign(({ event }) => ({ written: event.output })) },
      onError: { target: 'deployFailed', actions: assign(({ event }) => failure('writingEnvironment', event.error)) },
    },
  }),
  routingDomain: wizard.createStateConfig({
    meta: { title: 'Routing the domain', step: 7 },
    invoke: {
      id: 'routeDomain',
      src: 'dokploy.configureDomain@1',
      input: ({ context }) => serviceOf(context),
      onDone: { target: 'deploying', actions: assign(({ event }) => ({ route: event.output })) },
      onError: { target: 'deployFailed', actions: assign(({ event }) => failure('routingDomain', event.error)) },
    },
  }),
  deploying: wizard.createStateConfig({
    meta: { title: 'Deploying', step: 7 },
    invoke: {
      id: 'deploy',
      src: 'dokploy.deployCompose@1',
      input: ({ context }) => ({
        ...serviceOf(context),
        envHash: need(context.written, 'environment').envHash,
        composeHash: need(context.imported, 'import').composeHash,
      }),
      onDone: { target: 'awaitingHealth', actions: assign(({ event }) => ({ deployment: event.output })) },
      onError: { target: 'deployFailed', actions: assign(({ event }) => failure('deploying', event.error)) },
    },
  }),
  awaitingHealth: wizard.createStateConfig({
    meta: { title: 'Waiting until every service is healthy', step: 7 },
    invoke: {
      id: 'awaitHealth',
      src: 'dokploy.awaitHealth@1',
      input: ({ context }) => {
        const { dokploy, plan, planHash } = scope(context);
        return {
          dokploy,
          plan,
          planHash,
          ...need(context.service, 'service'),
          deploymentId: need(context.deployment, 'deployment').deploymentId,
        };
      },
      onDone: { target: 'verifying', actions: assign(({ event }) => ({ health: event.output, failedAt: null })) },
      onError: { target: 'deployFailed', actions: assign(({ event }) => failure('awaitingHealth', event.error)) },
    },
  }),
  deployFailed: wizard.createStateConfig({
    meta: {
      title: 'The deployment did not succeed',
      step: 7,
      events: { retry: events.retry },
      rollback: { to: 'review', when: 'offered' },
    },
    on: {
      retry: [
        { guard: ({ context }) => context.failedAt === 'creatingProject', target: 'creatingProject', actions: assign(answered) },
        { guard: ({ context }) => context.failedAt === 'creatingService', target: 'creatingService', actions: assign(answered) },
        { guard: ({ context }) => context.failedAt === 'importingTemplate', target: 'importingTemplate', actions: assign(answered) },
        { guard: ({ context }) => context.failedAt === 'writingEnvironment', target: 'writingEnvironment', actions: assign(answered) },
        { guard: ({ context }) => context.failedAt === 'routingDomain', target: 'routingDomain', actions: assign(answered) },
        {
          guard: ({ context, event }) => context.failedAt === 'deploying' || event.redeploy === true,
          target: 'deploying',
          actions: assign(answered),
        },
        { target: 'awaitingHealth', actions: assign(answered) },
      ],
    },
  }),
};
