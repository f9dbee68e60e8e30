/**
 * Every failure of a request becomes an AppError here and nowhere else. Invariants:
 * 1. `applied` is `unknown` only when the request may have left this machine and asks for a change (engine.md E2).
 * 2. No error of the HTTP library is kept as `cause`: it carries the request's headers, and so the key.
 */
import { AppError } from '../../errors.ts';
import { describeTlsFault, tlsFaultOf } from '../tls/tls-errors.ts';

export type FailedRequest = {
  /** Scheme, host and port: what may be named in a message. */
  origin: string;
  host: string;
  /** The request asks for no change. */
  readOnly: boolean;
  /** The connection stood, so the request may have been sent. */
  connected: boolean;
  timeoutMs: number;
  aborted: boolean;
  tooLarge: boolean;
};

/** Translates what was thrown while a request was under way. */
export function toHttpError(error: unknown, request: FailedRequest): AppError {
  if (error instanceof AppError) return error;
  const inner = appErrorInside(error);
  if (inner) return inner;
  const applied = request.connected && !request.readOnly ? 'unknown' : 'no';
  const { origin, host } = request;
  if (request.tooLarge) {
    return new AppError('ANSWER_TOO_LARGE', {
      message: `The answer of ${origin} is larger than allowed, so it was cut off.`,
      fix: 'Check that the address is the right one.',
      applied,
    });
  }
  if (request.aborted) {
    return new AppError('ABORTED', {
      message: `The request to ${origin} was stopped before it was answered.`,
      fix: 'Nothing to do: the run goes on when it is resumed.',
      retry: 'later',
      applied,
    });
  }
  const code = codeOf(error);
  const fault = tlsFaultOf(code);
  if (fault && !request.connected) {
    const text = describeTlsFault(fault, host);
    return new AppError(text.code, { message: text.say, fix: text.fix });
  }
  return new AppError(...describeConnection(code, request, applied));
}

type Applied = 'no' | 'unknown';

function describeConnection(
  code: string,
  { origin, host, connected, timeoutMs }: FailedRequest,
  applied: Applied,
): ConstructorParameters<typeof AppError> {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAI_NODATA') {
    return [
      'HOST_NOT_FOUND',
      {
        message: `The name ${host} does not resolve to an address.`,
        fix: 'Check the spelling and the DNS record, or give --resolve host:port:address.',
        retry: 'later',
      },
    ];
  }
  if (code === 'ECONNREFUSED') {
    return [
      'CONNECTION_REFUSED',
      {
        message: `Nothing listens at ${origin}: the connection was refused.`,
        fix: 'Check the port and that the service is running.',
        retry: 'later',
      },
    ];
  }
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH' || code === 'EADDRNOTAVAIL') {
    return [
      'HOST_UNREACHABLE',
      { message: `There is no route to ${origin}.`, fix: 'Check the address and this machine’s network.', retry: 'later' },
    ];
  }
  if (code === 'ETIMEDOUT') {
    return connected
      ? [
          'REQUEST_TIMEOUT',
          {
            message: `${origin} did not answer within ${timeoutMs} ms.`,
            fix: 'Wait and look again; the request may still take effect.',
            retry: 'later',
            applied,
          },
        ]
      : [
          'CONNECTION_TIMEOUT',
          {
            message: `No connection to ${origin} came about in time.`,
            fix: 'Check the address, the port and the firewall between.',
            retry: 'later',
          },
        ];
  }
  if (
    code === 'ECONNRESET' ||
    code === 'EPIPE' ||
    code === 'ECONNABORTED' ||
    code === 'ERR_BODY_PARSE_FAILURE' ||
    code.startsWith('HPE_')
  ) {
    return [
      'CONNECTION_RESET',
      {
        message: `The connection to ${origin} broke off before the whole answer had come.`,
        fix: 'Check the service and any proxy before it.',
        retry: 'later',
        applied,
      },
    ];
  }
  return [
    'REQUEST_FAILED',
    {
      message: `The request to ${origin} failed (${code === '' ? 'no reason given' : code}).`,
      fix: 'Check that the service is reachable from this machine.',
      retry: 'later',
      applied,
    },
  ];
}

/** The code of the innermost error that has one; several addresses tried in turn give an aggregate. */
function codeOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    const code: unknown = Reflect.get(at, 'code');
    const first: unknown = at instanceof AggregateError ? at.errors[0] : undefined;
    if (typeof code === 'string' && code !== 'ERR_GOT_REQUEST_ERROR' && code !== '') return code;
    at = at.cause ?? first;
  }
  return '';
}

function appErrorInside(error: unknown): AppError | null {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    if (at instanceof AppError) return at;
    at = at.cause;
  }
  return null;
}
