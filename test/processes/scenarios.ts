/** One way through each workflow on an instance of the sandbox, for the processes that are killed on it. */
import type { WorkflowName } from '../../machines/registry.ts';
import type { InstanceName } from '../../src/sandbox/instances/catalogue.ts';
import type { TestPostgres } from '../helpers/backup-postgres.ts';
import type { WorkflowEnd, WorkflowTask } from '../helpers/workflow-process.ts';
import { givenBack, noBackup, noBridge, restoredInPlace, schemaAsBefore, schemaExchanged, untouched, wholeBackup } from './proofs.ts';

export type Scenario = Pick<WorkflowTask, 'answers' | 'onError' | 'until' | 'error' | 'back'> & {
  instance: InstanceName;
  /** Besides the target. */
  input?: Record<string, unknown>;
  /** A file that the input names by this key, with its text. */
  file?: { key: string; text: string };
  /** Run undisturbed in the same home before, one after the other. */
  first?: (Scenario & { workflow: WorkflowName })[];
  /** The input names the newest configuration snapshot that is kept by then. */
  snapshot?: true;
  /** The target has a direct connection to a database of its own, which this fills. Where its programs are missing, the scenario is skipped. */
  database?: { fill: string /** Written there after `first` has run. */; later?: string };
  /** Text of an edge function of the instance, written there after `first` has run. */
  laterFunction?: string;
  /** The target knows the password of the roles of its own stack. */
  password?: true;
  /** Facts of the target's row that are lost after `first`. */
  forgets?: string[];
  /** The input names the newest backup of the index by then. */
  newestBackup?: true;
  /** Faults of the sandbox, set before the run begins. */
  faults?: string[];
  /** What else must be true afterwards, judged from outside. */
  proof?: (seen: Seen) => Promise<void>;
  /** How environment, compose text and routes stand afterwards, compared with before; default: other ones. */
  leaves?: 'same' | 'nothing';
};

export type Seen = {
  home: string;
  target: string;
  end: WorkflowEnd;
  /** Statements on the target's own database, and on its server's. */
  sql: TestPostgres['sql'];
  database: string;
  /** Text of the edge function of the instance now; undefined when the instance is gone. */
  functionText: string | undefined;
  /** Names of all services on the pretended Dokploy. */
  services(): Promise<string[]>;
};

const approved = { review: ['approve'] } satisfies Scenario['answers'];
const andBack = { from: 'done', to: 'review' };
const editing: Scenario = { instance: 'gen-c', input: { set: { JWT_EXPIRY: '1800' } }, answers: approved, until: 'done' };
const backingUp: Scenario = {
  instance: 'gen-c',
  database: { fill: 'create table public.kept (id int); insert into public.kept select generate_series(1, 1000)' },
  answers: {},
  until: 'done',
  leaves: 'same',
};
const replaced =
  'create table public.kept (id int); insert into public.kept select generate_series(1, 1000); grant select on public.kept to anon';
const later = 'insert into public.kept values (1001)';
const inPlace: Scenario = {
  instance: 'gen-c',
  database: { fill: replaced, later },
  first: [{ workflow: 'backup', ...backingUp, input: { parts: ['database', 'roles', 'functions'] } }],
  laterFunction: 'changed after the backup',
  newestBackup: true,
  input: { mode: 'replace' },
  answers: { review: ['approve'], swapReview: ['swap'] },
  until: 'done',
  leaves: 'same',
};
/** Another schema refers to the one that is brought back, by a foreign key and a trigger. */
const oneSchema: Scenario = {
  instance: 'gen-c',
  database: {
    fill: `${replaced}; alter table public.kept add primary key (id); create function public.same() returns trigger language plpgsql as 'begin return new; end';
      create schema beside; create table beside.uses (id int references public.kept); insert into beside.uses values (7);
      create trigger same before insert on beside.uses for each row execute function public.same()`,
    later,
  },
  first: [{ workflow: 'backup', ...backingUp, input: { parts: ['database', 'roles'] } }],
  newestBackup: true,
  input: { mode: 'schema', schema: 'public' },
  answers: { review: ['approve'], schemaReview: ['exchange'] },
  until: 'done',
  leaves: 'same',
};
const bridging: Scenario = {
  instance: 'gen-c',
  password: true,
  answers: { ...approved, inUse: ['remove'] },
  until: 'done',
  leaves: 'same',
};
/** A table whose file is missing: whoever reads its rows gets an error. */
const tornTable = `create table public.torn (id int); insert into public.torn values (1); set allow_system_table_mods = on;
  update pg_class set relfilenode = 1 where oid = 'public.torn'::regclass`;
const removing = { target: 'gen-b-split-second', dataIsLost: true };

/** By workflow, and behind a colon which way through it where there are several. */
export const scenarios: Record<string, Scenario> = {
  'restart-service': { instance: 'gen-c', input: { service: 'kong' }, answers: approved, until: 'done', leaves: 'same' },
  rebuild: { instance: 'gen-c', answers: approved, until: 'done', leaves: 'same' },
  'repair-keys': { instance: 'gen-b', answers: approved, until: 'done', back: andBack },
  'update-env': { ...editing, back: andBack },
  'update-env: returns by itself': { ...editing, faults: ['bad-key:1'], until: 'returned', leaves: 'same', error: 'CHANGE_NOT_PROVEN' },
  'rotate-secrets': { instance: 'gen-c', input: { secret: 'jwt' }, answers: approved, until: 'done', back: andBack },
  'rotate-secrets: password': {
    instance: 'gen-c',
    input: { secret: 'database-password' },
    answers: approved,
    until: 'done',
    back: andBack,
  },
  'resize-pool': { instance: 'gen-c', input: { poolSize: 30 }, answers: approved, until: 'done', back: andBack },
  'manage-domain': {
    instance: 'crlf',
    input: { action: 'add', host: 'second.supabase.test' },
    answers: approved,
    until: 'done',
    back: andBack,
  },
  'restore-config': {
    instance: 'gen-c',
    first: [{ workflow: 'update-env', ...editing }],
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
  'grant-access': {
    instance: 'gen-c',
    input: { role: 'supabase_storage_admin', schema: 'auth', want: 'read' },
    answers: approved,
    until: 'done',
    back: andBack,
  },
  'install-bridge': { ...bridging, input: { host: 'bridge-removed.supabase.test' } },
  'install-bridge: and back': {
    ...bridging,
    input: { host: 'bridge-back.supabase.test' },
    answers: approved,
    until: 'inUse',
    back: { from: 'inUse', to: 'review' },
  },
  'remove-bridge': {
    ...bridging,
    first: [
      { workflow: 'install-bridge', ...bridging, input: { host: 'bridge-forgotten.supabase.test' }, answers: approved, until: 'inUse' },
    ],
    forgets: ['bridge'],
    answers: approved,
    proof: noBridge,
  },
  'enable-read-only': { instance: 'gen-c', answers: approved, until: 'done', back: andBack },
  'remove-instance': {
    instance: 'gen-b-split-second',
    answers: { review: ['confirmRemoval', removing], secondReview: ['confirmWithoutBackup', removing] },
    until: 'done',
    leaves: 'nothing',
  },
  backup: { ...backingUp, proof: wholeBackup },
  'cleanup-backups': {
    ...backingUp,
    first: [
      { workflow: 'backup', ...backingUp },
      { workflow: 'backup', ...backingUp },
    ],
    input: { keepLast: 1 },
    answers: approved,
    proof: wholeBackup,
  },
  restore: { ...inPlace, proof: restoredInPlace },
  'restore: given back': {
    ...inPlace,
    database: { fill: replaced, later: tornTable },
    until: 'swapReview',
    error: 'PROGRAM_FAILED',
    proof: givenBack,
  },
  'restore: and back': { ...inPlace, laterFunction: 'changed again', back: { from: 'done', to: 0 }, proof: untouched },
  'restore: one schema': { ...oneSchema, proof: schemaExchanged },
  'restore: one schema and back': { ...oneSchema, back: { from: 'done', to: 0 }, proof: schemaAsBefore },
  'backup: given up': {
    ...backingUp,
    database: { fill: tornTable },
    onError: { partFailed: ['discard'] },
    until: 'failed',
    error: 'PROGRAM_FAILED',
    proof: noBackup,
  },
  'backup: and back': { ...backingUp, back: { from: 'done', to: 0 }, proof: noBackup },
} satisfies Partial<Record<WorkflowName | `${WorkflowName}: ${string}`, Scenario>>;
