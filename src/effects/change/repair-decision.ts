/**
 * Which keys of an instance are to be made anew, and why. Pure. Invariants:
 * 1. Only what the doctor calls wrong is replaced; a key that is right stays.
 * 2. JWT_SECRET stays, unless it is weak or public, or a service key was given away that only a new secret makes worthless.
 */
import type { Finding } from '../../doctor/findings.ts';

export type KeyName = 'ANON_KEY' | 'SERVICE_ROLE_KEY';
export type KeySetName = 'JWT_KEYS' | 'JWT_JWKS';

export type Repair = {
  newSecret: boolean;
  keys: KeyName[];
  keySets: KeySetName[];
  /** What is stored is right, but the running containers have something else. */
  deployOnly: boolean;
  /** The database keeps another secret than the environment, or will. */
  storeSecret: boolean;
  /** Why, by variable. */
  why: Record<string, string>;
};

export type RepairFacts = {
  env: ReadonlyMap<string, string>;
  findings: readonly Finding[];
  /** Live checks by name; null when none was run. */
  live: readonly { name: string; ok: boolean | null; side: string }[] | null;
  jwtSecretInDatabase: boolean | null;
  /** ANON_KEY is a valid token with the role service_role: whoever visited the page may hold it. */
  serviceKeyGivenAway: boolean;
  /** Asked for by the person. */
  wantsNewSecret: boolean;
};

const keyNames: readonly KeyName[] = ['ANON_KEY', 'SERVICE_ROLE_KEY'];
const setNames: readonly KeySetName[] = ['JWT_KEYS', 'JWT_JWKS'];

export function decideRepair(facts: RepairFacts): Repair {
  const { env, findings } = facts;
  const wrong = (name: string) =>
    findings.find(
      ({ at, code, severity }) => at === name && (severity === 'critical' || severity === 'error' || code === 'KEY_EXPIRES_SOON'),
    );
  const why: Record<string, string> = {};
  const newSecret = secretReason(facts, wrong('JWT_SECRET'), why);
  const keys = keyNames.filter((name) => {
    const finding = wrong(name);
    if (!finding && !newSecret) return false;
    why[name] = finding?.say ?? 'It follows the new JWT_SECRET.';
    return true;
  });
  const keySets = setNames.filter((name) => {
    const finding = wrong(name);
    if (!finding && !(newSecret && holdsKeys(env.get(name)))) return false;
    why[name] = finding?.say ?? 'It embeds JWT_SECRET.';
    return true;
  });
  const texts = newSecret || keys.length > 0 || keySets.length > 0;
  const storeSecret = newSecret || facts.jwtSecretInDatabase === false;
  if (storeSecret)
    why['app.settings.jwt_secret'] = newSecret
      ? 'It follows the new JWT_SECRET.'
      : 'The database keeps another JWT secret than the environment.';
  return { newSecret, keys, keySets, deployOnly: !texts && notDeployed(facts.live), storeSecret, why };
}

function secretReason(
  { serviceKeyGivenAway, wantsNewSecret }: RepairFacts,
  finding: Finding | undefined,
  why: Record<string, string>,
): boolean {
  if (finding) why['JWT_SECRET'] = `${finding.say} A new one ends all sessions.`;
  else if (serviceKeyGivenAway)
    why['JWT_SECRET'] =
      'ANON_KEY, which every visitor gets, is a key with the role service_role: only a new secret makes the ones that were given away worthless. It ends all sessions.';
  else if (wantsNewSecret) why['JWT_SECRET'] = 'A new one was asked for. It ends all sessions.';
  return 'JWT_SECRET' in why;
}

function holdsKeys(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== '' && text.trim() !== '[]';
}

/** The gateway does not know the stored key, or the service behind refuses its signature: it was started with others. */
function notDeployed(live: RepairFacts['live']): boolean {
  return (live ?? []).some(
    ({ name, ok, side }) =>
      (name === 'anon-key-reads-settings' || name === 'service-key-is-admin') &&
      ok === false &&
      (side === 'gateway' || side === 'signature'),
  );
}

/** One sentence for the person. */
export function sayRepair(repair: Repair, othersWrong: readonly string[]): string {
  const { newSecret, keys, keySets, deployOnly, storeSecret } = repair;
  const names = [...(newSecret ? ['JWT_SECRET'] : []), ...keys, ...keySets];
  if (names.length > 0)
    return `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} made anew${newSecret ? '; all sessions end, every user signs in again' : '; JWT_SECRET stays, sessions go on'}. Clients that hold an old key must get the new one.`;
  if (deployOnly) return 'The stored keys are right, but the running containers have others: it is deployed again.';
  if (storeSecret) return 'The keys are right; the database is told the JWT secret that stands.';
  if (othersWrong.length === 0) return 'The keys are right, and live requests prove them: there is nothing to repair.';
  return `The keys are right; what is wrong lies elsewhere: ${othersWrong.join(', ')}.`;
}
