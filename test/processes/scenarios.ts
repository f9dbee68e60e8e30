/** One way through each workflow on an instance of the sandbox, for the processes that are killed on it. */
import type { WorkflowName } from '../../machines/registry.ts';
import type { InstanceName } from '../../src/sandbox/instances/catalogue.ts';
import type { WorkflowTask } from '../helpers/workflow-process.ts';

export type Scenario = Pick<WorkflowTask, 'answers' | 'until' | 'back'> & {
  instance: InstanceName;
  /** Besides the target. */
  input?: Record<string, unknown>;
  /** A file that the input names by this key, with its text. */
  file?: { key: string; text: string };
  /** Runs undisturbed in the same home before. */
  first?: Scenario & { workflow: WorkflowName };
  /** The input names the newest configuration snapshot that is kept by then. */
  snapshot?: true;
  /** How environment, compose text and routes stand afterwards, compared with before; default: other ones. */
  leaves?: 'same' | 'nothing';
};

const approved = { review: ['approve'] } satisfies Scenario['answers'];
const andBack = { from: 'done', to: 'review' };
const editing: Scenario = { instance: 'gen-c', input: { set: { JWT_EXPIRY: '1800' } }, answers: approved, until: 'done' };
const removing = { target: 'gen-b-split-second', dataIsLost: true };

export const scenarios: Partial<Record<WorkflowName, Scenario>> = {
  'restart-service': { instance: 'gen-c', input: { service: 'kong' }, answers: approved, until: 'done', leaves: 'same' },
  rebuild: { instance: 'gen-c', answers: approved, until: 'done', leaves: 'same' },
  'repair-keys': { instance: 'gen-b', answers: approved, until: 'done', back: andBack },
  'update-env': { ...editing, back: andBack },
  'rotate-secrets': { instance: 'gen-c', input: { secret: 'jwt' }, answers: approved, until: 'done', back: andBack },
  'manage-domain': {
    instance: 'crlf',
    input: { action: 'add', host: 'second.supabase.test' },
    answers: approved,
    until: 'done',
    back: andBack,
  },
  'restore-config': {
    instance: 'gen-c',
    first: { workflow: 'update-env', ...editing },
    snapshot: true,
    answers: approved,
    until: 'done',
    back: andBack,
  },
  'run-sql': {
    instance: 'gen-c',
    input: { sql: 'create table public.made_once (id int)' },
    answers: approved,
    until: 'done',
    leaves: 'same',
  },
  'seed-database': {
    instance: 'gen-c',
    file: { key: 'file', text: 'create table public.seeded_once (id int); insert into public.seeded_once values (1);' },
    answers: approved,
    until: 'done',
    leaves: 'same',
  },
  'remove-instance': {
    instance: 'gen-b-split-second',
    answers: { review: ['confirmRemoval', removing], secondReview: ['confirmWithoutBackup', removing] },
    until: 'done',
    leaves: 'nothing',
  },
};
