/**
 * Whether what answers under a name of a Docker network is the target's own database: in a network that stacks share, `db` is a name of many.
 * Invariants:
 * 1. A name that many bear is believed by proof alone, never because a password fits: stacks that were made by copying share theirs.
 * 2. No secret is sent to find it out: the server tells hashes and numbers, and they are compared here.
 */
import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { SqlSession } from './session.ts';

/** Whose name it is: of one container on its machine, of many, or one that the owner handed over. */
export type DockerName = 'own' | 'shared' | 'given';

/** What tells one server from another: the number that initdb gave it, and a hash of the secret that the database keeps for its API. */
export type Marks = { systemId?: string | undefined; settingHash?: string | undefined };

/** Pure. `doubt`: the setting differs, which a secret that was changed in one place only explains too. */
export function compareMarks(here: Marks, known: Marks): 'same' | 'other' | 'doubt' | 'unproven' {
  if (here.systemId !== undefined && known.systemId !== undefined) return here.systemId === known.systemId ? 'same' : 'other';
  if (here.settingHash !== undefined && known.settingHash !== undefined) return here.settingHash === known.settingHash ? 'same' : 'doubt';
  return 'unproven';
}

/** Pure. */
export function isBelieved(name: DockerName, verdict: ReturnType<typeof compareMarks>): boolean {
  switch (verdict) {
    case 'same':
      return true;
    case 'other':
      return false;
    case 'doubt':
      return name === 'own';
    case 'unproven':
      return name !== 'shared';
    default:
      return verdict satisfies never;
  }
}

export const settingHashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

const settingSql = `select encode(sha256(convert_to(nullif(current_setting('app.settings.jwt_secret', true), ''), 'UTF8')), 'hex') as hash`;
const systemSql = 'select system_identifier::text as id from pg_control_system()';

/** A role that may not ask for it leaves it out. */
export async function marksOf(session: Pick<SqlSession, 'query'>): Promise<Marks> {
  const [setting] = (await session.query<{ hash: string | null }>(settingSql)).rows;
  const system = await session.query<{ id: string }>(systemSql).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'SQL_FAILED') return undefined;
    throw error;
  });
  return { settingHash: setting?.hash ?? undefined, systemId: system?.rows[0]?.id };
}

export type Proof = {
  name: DockerName;
  host: string;
  /** What the target's secrets say. */
  known: Marks;
  /** The number as another way to the target tells it; asked for only where nothing else decides. */
  systemIdElsewhere(): Promise<string | undefined>;
};

/** Throws DATABASE_OF_ANOTHER; the session stays open. */
export async function requireThisDatabase(
  session: Pick<SqlSession, 'query'>,
  { name, host, known, systemIdElsewhere }: Proof,
): Promise<void> {
  const here = await marksOf(session);
  let verdict = compareMarks(here, known);
  if (verdict !== 'same') verdict = compareMarks(here, { ...known, systemId: known.systemId ?? (await systemIdElsewhere()) });
  if (isBelieved(name, verdict)) return;
  const why = {
    same: '',
    other: 'another way to the target leads to another server',
    doubt: 'it keeps another JWT secret than the target has',
    unproven: 'nothing tells it from the database of another stack in the same network',
  }[verdict];
  throw new AppError('DATABASE_OF_ANOTHER', {
    message: `A Postgres answers as ${host} in a Docker network of this process and takes the password, but ${why}, so it is not used.`,
    fix: 'Give the target its JWT secret or the service key, or attach this container to the network of that stack alone.',
  });
}
