/** A request to the page with every header as a test wants it; `fetch` would set or refuse some by itself. */
import { request } from 'node:http';

export type Got = { status: number; headers: Record<string, string | string[] | undefined>; text: string; cookie: string };
type Over = { method?: string; headers?: Record<string, string>; form?: Record<string, string> };

export function ask(url: string, { method = 'GET', headers = {}, form }: Over = {}): Promise<Got> {
  const body = form === undefined ? undefined : new URLSearchParams(form).toString();
  const sent = { ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }), ...headers };
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers: sent }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.once('end', () => {
        const cookie = (answer.headers['set-cookie'] ?? []).map((each) => each.split(';')[0] ?? '').join('; ');
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, cookie });
      });
    });
    call.once('error', reject);
    call.end(body);
  });
}

/** What a browser would send back: the cookie, the page's token, its own origin. */
export async function opened(url: string): Promise<{ token: string; headers: Record<string, string>; got: Got }> {
  const got = await ask(url);
  const token = /name="token" value="([^"]+)"/.exec(got.text)?.[1] ?? '';
  return { token, got, headers: { cookie: got.cookie, origin: new URL(url).origin } };
}
