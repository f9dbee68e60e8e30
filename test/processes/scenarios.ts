/** One way through each workflow on an instance of the sandbox, for the processes that are killed on it. */
import type { WorkflowName } from '../../machines/registry.ts';
import type { InstanceName } from '../../src/sandbox/instances/catalogue.ts';
import type { WorkflowTask } from '../helpers/workflow-process.ts';

export type Scenario = Pick<WorkflowTask, 'answers' | 'until' | 'back'> & {
  instance: InstanceName;
  /** Besides the target. */
  input?: Record<string, unknown>;
  /** Environment, compose text or routes are other ones afterwards. */
  changes?: true;
};

const approved = { review: ['approve'] } satisfies Scenario['answers'];

export const scenarios: Partial<Record<WorkflowName, Scenario>> = {
  'restart-service': { instance: 'gen-c', input: { service: 'kong' }, answers: approved, until: 'done' },
  'repair-keys': { instance: 'gen-b', answers: approved, until: 'done', back: { from: 'done', to: 'review' } },
};
