/**
 * Marks of an instance's generation that anybody sees who asks its public address: how auth names itself, which keys it publishes, whether the
 * gateway takes a key of the new form. Reads only. Invariants:
 * 1. What does not show is `unknown` with the reason; the absence of a mark is never read as its opposite.
 * 2. A key goes to the address of its own instance alone, and stands in no sentence.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { createHttp, type HttpAnswer } from '../http/http.ts';
import type { Told } from './gateway-kind.ts';
import { parseJson } from './management.ts';

export type OutsideMarks = { apiUrlHasSuffix: Told<boolean | 'unknown'>; newKeys: Told<boolean | 'unknown'> };

export type OutsideKeys = {
  /** Of whichever form. */
  anon?: string | undefined;
  /** `sb_publishable_…`. */
  publishable?: string | undefined;
};

/** An answer, or why there was none. */
type Heard = Pick<HttpAnswer, 'status' | 'text'> | string;

const unknown = (because: string) => ({ value: 'unknown' as const, because });
const samlPath = '/sso/saml/metadata';

/**
 * Pure. Auth builds the name under which it is known to identity providers from API_EXTERNAL_URL; without SAML nothing that it answers holds it.
 * `answers` are those of the path below /auth/v1 and, as before v0.7, at the root.
 */
export function suffixOf(answers: readonly Heard[]): Told<boolean | 'unknown'> {
  for (const heard of answers) {
    const entity = typeof heard === 'string' || heard.status !== 200 ? undefined : /\bentityID="([^"\s]{1,500})"/.exec(heard.text)?.[1];
    if (entity?.endsWith(samlPath) !== true) continue;
    return { value: entity.endsWith(`/auth/v1${samlPath}`), because: 'the SAML metadata of auth are named by it' };
  }
  const silent = answers.find((heard) => typeof heard === 'string');
  return unknown(silent === undefined ? 'only the SAML metadata of auth would show it, and there are none' : String(silent));
}

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

/** Pure. `accepted` is what the gateway answered to a publishable key, undefined where none is known. */
export function keyStyleOf({ accepted, keys }: { accepted: Heard | undefined; keys: Heard }): Told<boolean | 'unknown'> {
  if (typeof accepted === 'object' && accepted.status === 200)
    return { value: true, because: 'the gateway takes the publishable key that is stored here' };
  const published = typeof keys === 'object' && keys.status === 200 ? keySet.safeParse(parseJson(keys.text)).data?.keys : undefined;
  if (published?.some(({ kty }) => kty !== 'oct') === true)
    return { value: true, because: 'auth publishes a public signing key, which comes with the new keys' };
  if (typeof accepted === 'object' && (accepted.status === 401 || accepted.status === 403))
    return unknown('the gateway refuses the publishable key that is stored here; another may be set');
  if (typeof keys === 'string') return unknown(keys);
  if (published === undefined) return unknown(`auth answers no key set (status ${keys.status})`);
  return unknown('auth publishes no signing key, and no publishable key is stored here to try');
}

/** Never throws for what could not be asked; ABORTED goes through. */
export async function askOutside(
  baseUrl: string,
  { anon, publishable }: OutsideKeys,
  reach: Reach,
  signal?: AbortSignal,
): Promise<OutsideMarks> {
  const http = createHttp(reach, { timeoutMs: 10_000, ...(signal ? { signal } : {}) });
  const ask = async (path: string, key?: string): Promise<Heard> => {
    try {
      return await http.request({
        method: 'GET',
        url: `${baseUrl}${path}`,
        headers: key === undefined ? {} : { apikey: key },
        maxBytes: 256 * 1024,
      });
    } catch (error) {
      if (error instanceof AppError && error.code !== 'ABORTED') return `${error.code}: ${error.message}`;
      throw error;
    }
  };
  const [keys, accepted, ...saml] = await Promise.all([
    ask('/auth/v1/.well-known/jwks.json'),
    publishable === undefined ? undefined : ask('/auth/v1/settings', publishable),
    ask(`/auth/v1${samlPath}`, publishable ?? anon),
    ask(samlPath),
  ]);
  return { apiUrlHasSuffix: suffixOf(saml), newKeys: keyStyleOf({ accepted, keys }) };
}
