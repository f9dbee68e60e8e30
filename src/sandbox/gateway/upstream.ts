import type { Database, Login } from '../postgres/database.ts';
import type { StackRecord } from '../state.ts';

/** A request that the gateway let through to a service of a stack. */
export type UpstreamRequest = {
  stack: StackRecord;
  database: Database;
  method: string;
  /** Below the service's prefix, with a leading slash. */
  path: string;
  query: URLSearchParams;
  headers: Headers;
  body: string;
};

export type Upstream = (request: UpstreamRequest) => Promise<Response>;

/** A JSON answer. */
export const answer = (status: number, value: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers } });

/** The service's variable, or the given one of another name. */
export function setting(stack: StackRecord, service: string, ...names: string[]): string {
  const env = stack.services.find((one) => one.name === service)?.env ?? {};
  for (const name of names) {
    const value = env[name];
    if (value !== undefined) return value;
  }
  return '';
}

/** User, password, database and options of a connection URL such as a service's DATABASE_URL. */
export function loginOf(url: string): Login {
  try {
    const { username, password, pathname, searchParams } = new URL(url);
    const [options, database] = [searchParams.get('options'), decodeURIComponent(pathname.slice(1))];
    return {
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      ...(options === null ? {} : { options }),
      ...(database === '' ? {} : { database }),
    };
  } catch {
    return { user: '', password: '' };
  }
}
