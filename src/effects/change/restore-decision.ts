/**
 * What of an earlier configuration may return. Pure. Invariants:
 * 1. What a running instance has grown into stays: its data were written with those values.
 * 2. Where going back would lose or hide data (another database major, other volumes), nothing of the compose file returns.
 * 3. Where nothing must stay, the earlier texts return byte for byte.
 */
import { parseDocument } from 'yaml';
import { type EnvText, envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import { readComposeView } from '../doctor/compose-view.ts';
import { readComposeFacts } from '../supabase/compose-facts.ts';
import type { ChangeDocument } from './document.ts';
import { type Bond, boundVariables } from './env-edit.ts';
import type { SnapshotDocument } from './snapshot.ts';

/** Kept with JWT_SECRET: they are signed with it or embed it. */
const followers = ['ANON_KEY', 'SERVICE_ROLE_KEY', 'JWT_KEYS', 'JWT_JWKS'];
const grown = ['POSTGRES_PASSWORD', 'JWT_SECRET', 'VAULT_ENC_KEY', 'PG_META_CRYPTO_KEY', 'DB_ENC_KEY', 'POOLER_TENANT_ID'];

export type Kept = Bond & { name: string };

/** The earlier text with the values that must stay; `kept` names them. */
export function mergeEnvironment(now: string, then: string): { env: string; kept: Kept[] } {
  const [is, was] = [envVariables(parseEnv(now)), envVariables(parseEnv(then))];
  const differ = (name: string) => is.get(name) !== was.get(name);
  const names = [...grown.filter(differ), ...(differ('JWT_SECRET') ? followers.filter(differ) : [])];
  const env = names.reduce<EnvText>((text, name) => {
    const value = is.get(name);
    return value === undefined ? text.filter((item) => item.kind !== 'entry' || item.name !== name) : setEnv(text, name, value);
  }, parseEnv(then));
  const kept = names.map((name) => ({ name, why: boundVariables[name]?.why ?? '', workflow: boundVariables[name]?.workflow ?? null }));
  return { env: names.length === 0 ? then : printEnv(env), kept };
}

export type Refusal = Bond & { what: string };

/** Why the earlier compose file must not return; empty when it may. */
export function composeRefusals(now: string, then: string): Refusal[] {
  if (now === then) return [];
  const [is, was] = [readComposeFacts(now), readComposeFacts(then)];
  const refusals: Refusal[] = [];
  if (was.services.length === 0) return [{ what: 'the compose file', why: 'the kept one cannot be read', workflow: 'update-env' }];
  if (is.postgres?.major !== was.postgres?.major)
    refusals.push({
      what: 'the image of the database',
      why: `its data folder belongs to Postgres ${is.postgres?.major ?? 'unknown'}, and the kept file starts ${was.postgres?.major ?? 'unknown'}`,
      workflow: null,
    });
  if (volumesOf(now) !== volumesOf(then))
    refusals.push({ what: 'the volumes', why: 'a service would start on another, perhaps empty, folder', workflow: null });
  if (encryptionKeyOf(now) !== encryptionKeyOf(then))
    refusals.push({ what: 'DB_ENC_KEY', why: boundVariables['DB_ENC_KEY']?.why ?? '', workflow: null });
  return refusals;
}

/** Services with what they mount, and the named volumes; null when it cannot be read. */
function volumesOf(compose: string): string | null {
  const document = parseDocument(compose, { merge: true });
  if (document.errors.length > 0) return null;
  try {
    const plain: unknown = document.toJS({ maxAliasCount: 1_000 });
    const services: unknown = Reflect.get(Object(plain), 'services');
    const mounts = Object.entries(Object(services)).map(([name, service]) => [name, Reflect.get(Object(service), 'volumes') ?? []]);
    return JSON.stringify([mounts.filter(([, list]) => JSON.stringify(list) !== '[]').sort(), Reflect.get(Object(plain), 'volumes') ?? {}]);
  } catch {
    return null; // too many aliases
  }
}

function encryptionKeyOf(compose: string): string | undefined {
  const view = readComposeView(compose);
  return view === 'unreadable' ? undefined : view.services.find(({ name }) => name === 'realtime')?.environment['DB_ENC_KEY'];
}

/** Mounts that are no files: other ones mean other data. */
export function mountRefusals(now: SnapshotDocument, then: SnapshotDocument): Refusal[] {
  const data = ({ mounts }: SnapshotDocument) =>
    JSON.stringify(
      mounts
        .filter(({ type }) => type !== 'file')
        .map(({ type, filePath, mountPath }) => [type, filePath, mountPath])
        .sort(),
    );
  if (data(now) === data(then)) return [];
  return [
    {
      what: 'the volumes and folders that Dokploy mounts',
      why: 'a service would start on another, perhaps empty, folder',
      workflow: null,
    },
  ];
}

/** Files that return; one that was not there then stays, and is named. */
export function filesOf(now: SnapshotDocument, then: SnapshotDocument): { files: ChangeDocument['files']; left: string[] } {
  const files = (document: SnapshotDocument) => document.mounts.filter(({ type, filePath }) => type === 'file' && filePath !== null);
  const current = files(now);
  const wanted = files(then).map(({ mountId, filePath, content }) => {
    const standing = current.find((each) => each.mountId === mountId) ?? current.find((each) => each.filePath === filePath);
    return {
      mountId: standing?.mountId ?? null,
      filePath: filePath ?? '',
      before: standing ? (standing.content ?? '') : null,
      after: content ?? '',
    };
  });
  const known = new Set(wanted.map(({ mountId }) => mountId));
  return { files: wanted, left: current.filter(({ mountId }) => !known.has(mountId)).map(({ filePath }) => filePath ?? '') };
}
