/** Kinds of statement that no confirmation opens, each with its reason and the way that does. Pure. */
import { isNode, type Node, namesOf, walkTree } from './tree.ts';

export type Refusal = { what: string; why: string; fix?: string };

const transaction = 'the transaction belongs to Capstan';
const own = 'Leave it out; each statement runs in a transaction of its own.';

const always: Readonly<Record<string, Refusal>> = {
  TransactionStmt: { what: 'transaction control', why: transaction, fix: own },
  VariableSetStmt: { what: 'SET or RESET', why: 'settings such as the role or the time limit are part of what keeps this safe', fix: own },
  AlterSystemStmt: { what: 'ALTER SYSTEM', why: 'it changes the whole server' },
  DoStmt: { what: 'DO', why: 'nobody can see what such a block does', fix: 'Send the statements inside it one by one.' },
  CallStmt: {
    what: 'CALL',
    why: 'nobody can see what a procedure does, and it may commit',
    fix: 'Send the statements inside it one by one.',
  },
  CopyStmt: {
    what: 'COPY',
    why: 'it reads or writes files, programs or the wire',
    fix: 'Use SELECT or INSERT; a file goes through seed_database.',
  },
  LoadStmt: { what: 'LOAD', why: 'it loads code into the server' },
  PrepareStmt: { what: 'PREPARE', why: 'nothing of a session lasts to the next statement', fix: own },
  ExecuteStmt: { what: 'EXECUTE', why: 'nobody can see what a prepared statement does', fix: own },
  DeallocateStmt: { what: 'DEALLOCATE', why: 'nothing of a session lasts to the next statement', fix: own },
  DeclareCursorStmt: {
    what: 'DECLARE CURSOR',
    why: 'pages are turned by the tool',
    fix: 'Send the query itself, and go on with its cursor.',
  },
  FetchStmt: { what: 'FETCH', why: 'pages are turned by the tool', fix: 'Send the query itself, and go on with its cursor.' },
  ClosePortalStmt: { what: 'CLOSE', why: 'pages are turned by the tool' },
  DiscardStmt: { what: 'DISCARD', why: 'nothing of a session lasts to the next statement', fix: own },
  ListenStmt: { what: 'LISTEN', why: 'nothing of a session lasts to the next statement' },
  UnlistenStmt: { what: 'UNLISTEN', why: 'nothing of a session lasts to the next statement' },
  LockStmt: { what: 'LOCK TABLE', why: 'the lock ends with the statement' },
  VacuumStmt: { what: 'VACUUM or ANALYZE', why: 'it cannot run inside a transaction' },
  ClusterStmt: { what: 'CLUSTER', why: 'it cannot be taken back' },
  CheckPointStmt: { what: 'CHECKPOINT', why: 'it acts on the whole server' },
  CreatedbStmt: { what: 'CREATE DATABASE', why: 'it cannot run inside a transaction' },
  DropdbStmt: { what: 'DROP DATABASE', why: 'it cannot be taken back', fix: 'remove-instance makes a verified backup first.' },
  CreateTableSpaceStmt: { what: 'CREATE TABLESPACE', why: 'it acts on folders of the server' },
  DropTableSpaceStmt: { what: 'DROP TABLESPACE', why: 'it acts on folders of the server' },
  CreateSubscriptionStmt: { what: 'CREATE SUBSCRIPTION', why: 'it holds a login and opens connections' },
  AlterSubscriptionStmt: { what: 'ALTER SUBSCRIPTION', why: 'it holds a login and opens connections' },
  DropSubscriptionStmt: { what: 'DROP SUBSCRIPTION', why: 'it acts on another server' },
  CreateUserMappingStmt: { what: 'CREATE USER MAPPING', why: 'it holds a login' },
  AlterUserMappingStmt: { what: 'ALTER USER MAPPING', why: 'it holds a login' },
  SecLabelStmt: { what: 'SECURITY LABEL', why: 'pgsodium reads keys from it' },
};

/** Languages whose functions leave the sandbox of the database. */
const trusted = new Set(['sql', 'plpgsql', 'plv8', 'plpgsql_check']);

/** Why this statement is refused whoever approves it, or undefined. */
export function refusedClasses(kind: string, node: Node): Refusal | undefined {
  const plain = always[kind];
  if (plain !== undefined) return plain;
  if ((kind === 'IndexStmt' || kind === 'DropStmt') && node['concurrent'] === true)
    return {
      what: 'CONCURRENTLY',
      why: 'it cannot run inside a transaction',
      fix: 'Leave CONCURRENTLY out, or use a migration that says so.',
    };
  if (kind === 'ReindexStmt') return { what: 'REINDEX', why: 'it may not run inside a transaction' };
  if (kind === 'GrantRoleStmt' && node['is_grant'] === true && grantsPower(node['granted_roles'])) return powerful;
  if (kind === 'CreateRoleStmt' && grantsPower(node['options'])) return powerful;
  if (kind === 'CreateRoleStmt' || kind === 'AlterRoleStmt') return roleRefusal(node);
  if (kind === 'CreateFunctionStmt') return functionRefusal(node);
  return undefined;
}

const powerful: Refusal = {
  what: 'membership in a role of the server or of a service',
  why: 'such roles read and write files, run programs or own what the services keep',
};

/** True when a role of the server (pg_…) or of Supabase itself is among those that are handed out. */
function grantsPower(list: unknown): boolean {
  let found = false;
  walkTree(list, (_key, node) => {
    const name = node['priv_name'] ?? node['rolename'];
    if (typeof name === 'string' && /^(pg_|supabase_|postgres$|pgbouncer$|dashboard_user$)/.test(name)) found = true;
  });
  return found;
}

function roleRefusal(node: Node): Refusal | undefined {
  const options = optionNames(node['options']);
  if (options.includes('password'))
    return {
      what: 'a password of a role',
      why: 'it would stand in logs and in this conversation',
      fix: 'rotate-secrets changes passwords with everything that embeds them.',
    };
  if (options.includes('superuser') || options.includes('isreplication') || options.includes('bypassrls'))
    return { what: 'an attribute of a role', why: 'superusers, replication and bypassing row security are for the owner at a terminal' };
  return undefined;
}

function functionRefusal(node: Node): Refusal | undefined {
  const options = Array.isArray(node['options']) ? node['options'] : [];
  for (const each of options) {
    const option = isNode(each) && isNode(each['DefElem']) ? each['DefElem'] : undefined;
    if (option?.['defname'] !== 'language') continue;
    const argument = option['arg'];
    const language =
      (isNode(argument) && isNode(argument['String']) ? String(argument['String']['sval']) : namesOf([argument]).at(-1)) ?? '';
    if (!trusted.has(language.toLowerCase()))
      return { what: 'a function in an untrusted language', why: 'its code would run on the server itself' };
  }
  return undefined;
}

function optionNames(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((each) => (isNode(each) && isNode(each['DefElem']) ? [String(each['DefElem']['defname'])] : []));
}
