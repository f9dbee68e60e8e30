/**
 * Answers that are not a 2xx, turned into AppErrors. Invariants:
 * 1. A bare 401 is explained and never retried: it means a bad key or a used-up rate limit, and each try uses the limit up further.
 * 2. A refusal (4xx) was not applied, except where Dokploy refuses half-way (`halfway`); a 5xx on a write may have been.
 * 3. Vendor text is redacted, escaped, cut and quoted.
 */
import { AppError } from '../../errors.ts';
import { quoteVendorText } from '../http/vendor-text.ts';

export type Refused = {
  /** The stored name of the Dokploy. */
  name: string;
  origin: string;
  procedure: string;
  method: 'GET' | 'POST';
  status: number;
  headers: Record<string, string>;
  text: string;
  /** This key has been accepted before in this process. */
  acceptedBefore: boolean;
  /** The procedure changes things before it refuses. */
  halfway: boolean;
  /** Values that must never be shown. */
  secrets: readonly string[];
};

type Body = { message: string | null; code: string | null; path: string | null; issues: string[] };

const KEY_FIX =
  'Make a new key in Dokploy under Settings, Profile, API/CLI Keys, without an expiry and with rate limiting off, as an owner or admin, and store it with `capstan dokploy add`.';

/** The error for an answer with status 300 and above. */
export function toRefusal(refused: Refused): AppError {
  const { name, procedure, status, method } = refused;
  const body = readBody(refused.text);
  const words = body.message === null ? '' : `: ${quoteVendorText(body.message, refused.secrets)}`;
  const details = { procedure, status };
  const write = method === 'POST';
  if (status === 401) return unauthorized(refused, body, words);
  if (status < 400) return redirected(refused);
  if (status === 403) {
    return new AppError('DOKPLOY_FORBIDDEN', {
      message: `The Dokploy "${name}" forbids ${procedure} to this key${words}.`,
      fix: `Use a key of an owner or admin. ${KEY_FIX}`,
      details,
    });
  }
  if (status === 404) return missing(refused, body, words);
  if (status === 429) return limited(refused, words);
  if (status >= 500 || status === 408) {
    return new AppError('DOKPLOY_FAILED', {
      message: `The Dokploy "${name}" failed in ${procedure} with status ${status}${words}.`,
      fix: 'Look at Dokploy’s own log; the step is checked before it is repeated.',
      retry: 'later',
      applied: write ? 'unknown' : 'no',
      details,
    });
  }
  const fields = body.issues.length === 0 ? '' : ` (fields: ${body.issues.join(', ')})`;
  return new AppError('DOKPLOY_REFUSED', {
    message: `The Dokploy "${name}" refused ${procedure} with status ${status}${words}${fields}.`,
    fix: 'Change what was asked for; the same request is refused again.',
    applied: write && refused.halfway ? 'unknown' : 'no',
    details,
  });
}

function unauthorized({ name, procedure, acceptedBefore, text }: Refused, body: Body, words: string): AppError {
  const details = { procedure, status: 401 };
  if (body.code !== null) {
    return new AppError('DOKPLOY_FORBIDDEN', {
      message: `The thing that ${procedure} was asked about belongs to another organization of the Dokploy "${name}"${words}.`,
      fix: `A key belongs to one organization. ${KEY_FIX}`,
      details,
    });
  }
  if (body.message === null && text !== '') {
    return new AppError('DOKPLOY_UNAUTHORIZED', {
      message: `Something in front of the Dokploy "${name}" asks for credentials: the 401 does not come from Dokploy itself.`,
      fix: 'Give the proxy’s credentials with --header NAME=env:VARIABLE, or use an address that leads straight to Dokploy.',
      details,
    });
  }
  if (acceptedBefore) {
    return new AppError('DOKPLOY_KEY_RATE_LIMITED', {
      message: `The Dokploy "${name}" accepted this key before and refuses it now: its rate limit is used up (by default 10 verifications a day, two for each call), or it was revoked or has expired. It was not tried again.`,
      fix: KEY_FIX,
      details: { ...details, variant: 'KEY_REJECTED_AFTER_SUCCESS' },
    });
  }
  return new AppError('DOKPLOY_UNAUTHORIZED', {
    message: `The Dokploy "${name}" refuses the key: it is wrong, expired or of a removed member, or its rate limit is used up (by default 10 verifications a day, two for each call). It was not tried again.`,
    fix: KEY_FIX,
    details,
  });
}

function missing({ name, procedure, method }: Refused, body: Body, words: string): AppError {
  const details = { procedure, status: 404 };
  if (body.code === null || (body.message === 'Not found' && body.path === null)) {
    return new AppError('DOKPLOY_PROCEDURE_MISSING', {
      message: `The Dokploy "${name}" does not know ${method} ${procedure}.`,
      fix: 'Check that the address leads to Dokploy itself and that its version is supported.',
      details,
    });
  }
  return new AppError('DOKPLOY_NOT_FOUND', {
    message: `The Dokploy "${name}" does not find what ${procedure} was asked about${words}.`,
    fix: 'It may have been removed; look in Dokploy.',
    details,
  });
}

function limited({ name, procedure, headers }: Refused, words: string): AppError {
  const retryAfterMs = parseRetryAfter(headers['retry-after']);
  return new AppError('DOKPLOY_RATE_LIMITED', {
    message: `A proxy in front of the Dokploy "${name}" asks to slow down in ${procedure}${words}.`,
    fix: 'Nothing to do: the step is tried again later.',
    retry: 'later',
    details: { procedure, status: 429, ...(retryAfterMs === null ? {} : { retryAfterMs }) },
  });
}

function redirected({ name, origin, procedure, status, headers }: Refused): AppError {
  const to = headers.location ?? '';
  const target = URL.canParse(to, origin) ? new URL(to, origin).origin : null;
  return new AppError('DOKPLOY_REDIRECTED', {
    message: `The Dokploy "${name}" redirects ${procedure} to ${target === null ? 'another address' : quoteVendorText(target)}, and the key is not sent there.`,
    fix: 'Store the final address, usually the https one, with `capstan dokploy add`.',
    details: { procedure, status },
  });
}

/** Seconds or an HTTP date to milliseconds, at most one hour; null when absent or unreadable. */
export function parseRetryAfter(value: string | undefined, now = Date.now()): number | null {
  if (value === undefined) return null;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : null;
}

function readBody(text: string): Body {
  const parsed = parseJson(text);
  if (typeof parsed !== 'object' || parsed === null) return { message: null, code: null, path: null, issues: [] };
  const field = (from: unknown, key: string): unknown => (typeof from === 'object' && from !== null ? Reflect.get(from, key) : undefined);
  const asText = (value: unknown) => (typeof value === 'string' ? value : null);
  const issues = field(parsed, 'issues');
  const names = Array.isArray(issues)
    ? issues.map((issue) => field(issue, 'path')).filter((path): path is unknown[] => Array.isArray(path))
    : [];
  return {
    message: asText(field(parsed, 'message')),
    code: asText(field(parsed, 'code')),
    path: asText(field(field(parsed, 'data'), 'path')),
    // Only names that can be names of fields: this is vendor text too.
    issues: names.map((path) => path.join('.')).filter((path) => /^[\w.]{1,60}$/.test(path)),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
