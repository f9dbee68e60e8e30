/**
 * Who may talk to the page. Pure. Invariants:
 * 1. Only the very address that was given out: another Host is a rebound name (DNS rebinding).
 * 2. A form comes from the page itself: Origin equal, Sec-Fetch-Site same-origin where the browser says so.
 * 3. The page is a page of its own: never in a frame, never fetched by a script, nothing loaded from elsewhere, never kept.
 */

export type Asked = { method: string; header: (name: string) => string | undefined };

/** Why a request is refused, or undefined when it may go on. `host` is `127.0.0.1:PORT`. */
export function refusal({ method, header }: Asked, host: string): string | undefined {
  if (header('host') !== host) return 'This page answers only under the address that was given out.';
  const site = header('sec-fetch-site');
  const dest = header('sec-fetch-dest');
  if (method === 'POST') {
    if (header('origin') !== `http://${host}`) return 'The form did not come from this page.';
    if (site !== undefined && site !== 'same-origin') return 'The form did not come from this page.';
    return undefined;
  }
  if (method !== 'GET') return 'Only looking and answering is possible here.';
  if (dest !== undefined && dest !== 'document' && dest !== 'style') return 'Open the address in a window of its own.';
  return undefined;
}

export const headers: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; sandbox allow-forms allow-same-origin",
  'cache-control': 'no-store',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'interest-cohort=()',
};
