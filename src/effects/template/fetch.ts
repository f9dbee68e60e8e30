/**
 * Fetches the two files of a template from where a Dokploy takes its templates. Invariants:
 * 1. At most 10 s and 1 MB a file; a web page instead of a file is no template.
 * 2. A redirect is followed at most three times, only upwards in security, and never to a private address; stored headers stay at their origin.
 * 3. `sha256` is over both files, each preceded by its length: sha256("<bytes of toml>:" + toml + "<bytes of compose>:" + compose).
 */
import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { parseBaseUrl } from '../http/addresses.ts';
import { createHttp } from '../http/http.ts';

export type TemplateSource = {
  /** Such as https://templates.dokploy.com; typed by the owner. */
  baseUrl: string;
  id: string;
  reach?: Reach;
  signal?: AbortSignal;
};

export type Template = { toml: string; compose: string /** Hex; see invariant 3. */; sha256: string };

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;

/** Throws TEMPLATE_UNREACHABLE (retry later unless the file does not exist), TEMPLATE_INVALID, URL_INVALID, ABORTED. */
export async function fetchTemplate(source: TemplateSource): Promise<Template> {
  if (!/^[a-z0-9][a-z0-9._-]{0,80}$/i.test(source.id)) throw new TypeError('a template id is a plain name');
  const base = parseBaseUrl(source.baseUrl, { allowPath: true }).url;
  const folder = `${base}/blueprints/${source.id}`;
  const [toml, compose] = await Promise.all([
    fetchText(`${folder}/template.toml`, source),
    fetchText(`${folder}/docker-compose.yml`, source),
  ]);
  await requireTemplate(folder, toml, compose);
  return { toml, compose, sha256: hashTemplate(toml, compose) };
}

/** The fingerprint of invariant 3. */
export function hashTemplate(toml: string, compose: string): string {
  const hash = createHash('sha256');
  for (const text of [toml, compose]) hash.update(`${Buffer.byteLength(text)}:`).update(text);
  return hash.digest('hex');
}

async function fetchText(first: string, { reach = {}, signal }: TemplateSource): Promise<string> {
  let url = first;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const redirected = hops > 0;
    const sameOrigin = new URL(url).origin === new URL(first).origin;
    const http = createHttp(sameOrigin ? reach : withoutHeaders(reach), {
      ...(signal ? { signal } : {}),
      timeoutMs: TIMEOUT_MS,
      refusePrivate: redirected && !sameOrigin,
    });
    const answer = await http.request({ method: 'GET', url, maxBytes: MAX_BYTES }).catch((error: unknown) => {
      throw unreachable(first, error);
    });
    if (answer.status === 200) return answer.text;
    const next = answer.status >= 300 && answer.status < 400 ? answer.headers.location : undefined;
    if (next === undefined) throw noFile(first, answer.status);
    url = redirectTarget(first, url, next);
  }
  throw noFile(first, 310);
}

function redirectTarget(first: string, from: string, location: string): string {
  const to = URL.canParse(location, from) ? new URL(location, from) : null;
  const downgrade = to !== null && new URL(from).protocol === 'https:' && to.protocol !== 'https:';
  if (to === null || downgrade || !/^https?:$/.test(to.protocol) || to.username !== '' || to.password !== '') {
    throw new AppError('TEMPLATE_UNREACHABLE', {
      message: `The template at ${first} redirects to an address that is not followed.`,
      fix: 'Give the final address as the template base URL.',
    });
  }
  return to.href;
}

function withoutHeaders({ headers: _headers, ...rest }: Reach): Reach {
  return rest;
}

function unreachable(url: string, error: unknown): unknown {
  if (!(error instanceof AppError) || error.code === 'ABORTED' || error.code === 'RESOLVE_INVALID') return error;
  return new AppError('TEMPLATE_UNREACHABLE', {
    message: `The template at ${url} cannot be fetched. ${error.message}`,
    fix: `Make the address reachable from this machine, or set another template base URL. ${error.fix ?? ''}`.trim(),
    retry: error.retry,
    details: { reason: error.code },
  });
}

function noFile(url: string, status: number): AppError {
  return new AppError('TEMPLATE_UNREACHABLE', {
    message: `The template at ${url} cannot be fetched: the server answers ${status === 310 ? 'with too many redirects' : `with status ${status}`}.`,
    fix: 'Check the template base URL; below it there must be blueprints/supabase/template.toml.',
    retry: status >= 500 || status === 429 ? 'later' : 'never',
  });
}

async function requireTemplate(folder: string, toml: string, compose: string): Promise<void> {
  const [{ parse: parseToml }, { parse: parseYaml }] = await Promise.all([import('smol-toml'), import('yaml')]);
  const config = quietly(() => parseToml(toml));
  const file = quietly<unknown>(() => parseYaml(compose));
  const services: unknown = typeof file === 'object' && file !== null ? Reflect.get(file, 'services') : undefined;
  if (config !== undefined && typeof services === 'object' && services !== null) return;
  throw new AppError('TEMPLATE_INVALID', {
    message: `What stands at ${folder} is no Dokploy template: template.toml must be TOML and docker-compose.yml must have services.`,
    fix: 'Check the template base URL; a web page in place of the files is a common cause.',
  });
}

function quietly<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
