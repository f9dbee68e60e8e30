/** Who is at the other end of a connection, and what he may do and see there (design §5). Pure. */
import type { Caller } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { ToolDefinition } from './tool.ts';

/** Each may do what those before it may: look; start and move runs; answer for what needs a person's yes. */
export const roles = ['viewer', 'operator', 'approver'] as const;
export type Role = (typeof roles)[number];

export type Connection = {
  /** A run belongs to the principal that started it. */
  caller: Caller;
  role: Role;
  /** The targets that exist for this connection; left out: all. */
  targets?: readonly string[];
  /** Nothing that needs a person's yes, and no other tool that destroys (`--deny-destructive`). */
  denyDestructive?: true;
  /** Folders from which one who comes over the network may name secrets as file:PATH. */
  secretFolders?: readonly string[];
  /** Folders from which one who comes over the network may name files, such as a seed. */
  fileFolders?: readonly string[];
};

/** Whoever runs the client under this user: what he can do at a terminal he can do here. */
export const localConnection: Connection = { caller: { principal: 'local', door: 'mcp-stdio' }, role: 'approver' };

/** What a server narrows every one of its connections to. */
export type Limits = Pick<Connection, 'targets' | 'denyDestructive' | 'secretFolders' | 'fileFolders'> & { readOnly?: boolean };

/** The connection within the limits of the server: the narrower of the two holds. */
export function limited(connection: Connection, { targets, readOnly, denyDestructive, secretFolders, fileFolders }: Limits): Connection {
  const own = connection.targets;
  const both = targets && own ? own.filter((name) => targets.includes(name)) : (targets ?? own);
  return {
    ...connection,
    role: readOnly ? 'viewer' : connection.role,
    ...(both === undefined ? {} : { targets: both }),
    ...(denyDestructive ? { denyDestructive } : {}),
    ...(secretFolders ? { secretFolders } : {}),
    ...(fileFolders ? { fileFolders } : {}),
  };
}

/** The owner of the installation, at a terminal or through a client of his own user. */
export function isLocal(principal: string): boolean {
  return principal === 'local' || principal.startsWith('local:');
}

/** Throws READ_ONLY, APPROVER_NEEDED or DESTRUCTIVE_DENIED for a tool that this connection may not call at all. */
export function requireAllowed(
  { role, denyDestructive }: Connection,
  tool: Omit<ToolDefinition, 'output'>,
  args: Readonly<Record<string, unknown>> = {},
): void {
  const { readOnlyHint, destructiveHint } = tool.annotations;
  const looks = readOnlyHint || (tool.looksUnless !== undefined && args[tool.looksUnless] !== true);
  if (!looks && role === 'viewer')
    throw new AppError('READ_ONLY', {
      message: `This connection may only look, and ${tool.name} changes something.`,
      fix: 'Ask the person who runs Capstan for a connection that may change things.',
    });
  if (tool.needs === 'approver' && role !== 'approver')
    throw new AppError('APPROVER_NEEDED', {
      message: `This connection may start and move runs, and ${tool.name} answers for a person.`,
      fix: 'A connection with the role approver, or a person at a terminal, gives the approval.',
    });
  if (destructiveHint && tool.asks !== true && denyDestructive) throw destructiveDenied(tool.name);
}

export function destructiveDenied(what: string): AppError {
  return new AppError('DESTRUCTIVE_DENIED', {
    message: `This server was started with --deny-destructive, and ${what} destroys, costs or takes back something.`,
    fix: 'Tell the person; what they want done here they do at a terminal.',
  });
}

/** A run as far as it matters who may see it. */
export type RunFacts = {
  runId: string;
  name: string;
  /** Who started it, or the run that it is a part of. */
  principal: string;
  /** Principals; `*` is everybody. */
  sharedWith: readonly string[];
  /** The names among those asked for that its inputs, events and locks hold. */
  about: readonly string[];
};

/** Whether the run exists for this connection. What it is about must lie within the targets; with none named, only to its owner. */
export function sees(connection: Connection, run: RunFacts): boolean {
  const { caller, role, targets } = connection;
  const owns = run.principal === caller.principal;
  const invited = run.sharedWith.includes('*') || run.sharedWith.includes(caller.principal);
  if (!(isLocal(caller.principal) || owns || invited || role === 'approver')) return false;
  return targets === undefined || (run.about.every((name) => targets.includes(name)) && (run.about.length > 0 || owns));
}

/** Whether everything in this connection is visible anyway, so that nothing need be looked up. */
export function seesAll({ caller, targets }: Connection): boolean {
  return isLocal(caller.principal) && targets === undefined;
}

/** Throws TARGET_OUT_OF_REACH when the arguments name a target (one of `known`) that this connection does not have. */
export function requireWithinTargets(
  connection: Connection,
  tool: ToolDefinition,
  args: Record<string, unknown>,
  known: readonly string[],
): void {
  const { targets } = connection;
  if (targets === undefined) return;
  const named = args['target'];
  if (typeof named === 'string' && !targets.includes(named)) throw outOfReach(named, targets);
  const others = known.filter((name) => !targets.includes(name));
  const strange = textsIn(args).find((text) => others.includes(text));
  if (strange !== undefined) throw outOfReach(strange, targets);
  if (typeof named === 'string' || 'run' in tool.input.shape || tool.scoped === true) return;
  throw new AppError('TARGET_OUT_OF_REACH', {
    message: `This connection has the targets ${targets.join(', ')} only, and ${tool.name} was called without one.`,
    fix:
      'target' in tool.input.shape ? 'Name one of them as target.' : 'Ask the person who runs Capstan for a connection without that limit.',
  });
}

function outOfReach(name: string, targets: readonly string[]): AppError {
  return new AppError('TARGET_OUT_OF_REACH', {
    message: `The target ${JSON.stringify(name.slice(0, 60))} is not one of this connection.`,
    fix: `It has: ${targets.join(', ')}.`,
  });
}

/** Every text in a value, however deep. */
export function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}
