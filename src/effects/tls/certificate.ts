/**
 * A look at the certificate that a host shows. Invariants:
 * 1. Only `valid` means that a browser would trust it (plus the reach's own CA); everything else says why not.
 * 2. Nothing is sent over the connection: it is opened, looked at and closed.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { type FailedRequest, toHttpError } from '../http/failure.ts';
import { openSocket } from '../http/reach.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import { describeTlsFault, tlsFaultOf } from './tls-errors.ts';

export type CertificateState =
  | { state: 'valid'; issuer: string; subject: string; expiresAt: string; daysLeft: number }
  /** Traefik's own placeholder: it has not got a certificate for this name (yet). */
  | { state: 'default'; say: string }
  | { state: 'self-signed' | 'wrong-name' | 'expired' | 'untrusted' | 'unreachable'; say: string };

export type InspectOptions = {
  /** Connection and handshake together, in ms. Default 10,000. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Ms since the epoch, for `daysLeft`. */
  now?: () => number;
  refusePrivate?: boolean;
};

/** Looks at the certificate of `host:port`. Throws ABORTED and ADDRESS_REFUSED only; what cannot be reached is `unreachable`. */
export async function inspectCertificate(
  host: string,
  port: number,
  reach: Reach,
  options: InspectOptions = {},
): Promise<CertificateState> {
  const timeoutMs = options.timeoutMs ?? 10_000;
  try {
    const socket = await handshake(host, port, reach, options, timeoutMs);
    try {
      return judge(socket, host, options.now ?? Date.now);
    } finally {
      socket.destroy();
    }
  } catch (error) {
    const failure: FailedRequest = {
      origin: `${host}:${port}`,
      host,
      readOnly: true,
      connected: false,
      timeoutMs,
      aborted: options.signal?.aborted === true,
      tooLarge: false,
    };
    const known = toHttpError(error, failure);
    if (known.code === 'ABORTED' || known.code === 'ADDRESS_REFUSED' || known.code === 'RESOLVE_INVALID') throw known;
    return { state: 'unreachable', say: known.message };
  }
}

function handshake(host: string, port: number, reach: Reach, options: InspectOptions, timeoutMs: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    // openSocket makes a TLSSocket when it is told to be secure.
    const socket = openSocket(true, { host, port }, reach, { untrusted: true, refusePrivate: options.refusePrivate === true }) as TLSSocket;
    const stop = (error: unknown) => {
      release();
      socket.on('error', () => {}).destroy();
      reject(error);
    };
    const onAbort = () => stop(options.signal?.reason);
    const timer = setTimeout(() => stop(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })), timeoutMs);
    const release = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };
    options.signal?.addEventListener('abort', onAbort);
    socket.once('error', stop);
    socket.once('close', () => stop(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
    socket.once('secureConnect', () => {
      release();
      resolve(socket);
    });
  });
}

function judge(socket: TLSSocket, host: string, now: () => number): CertificateState {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return { state: 'unreachable', say: `${host} showed no certificate.` };
  if (/TRAEFIK DEFAULT CERT/i.test(certificate.subject)) {
    return { state: 'default', say: `${host} shows Traefik’s default certificate: none has been issued for this name yet.` };
  }
  if (socket.authorized) return describeValid(certificate, now());
  const fault = tlsFaultOf(String(socket.authorizationError)) ?? 'untrusted';
  return { state: fault === 'handshake' ? 'untrusted' : fault, say: describeTlsFault(fault, host).say };
}

function describeValid(certificate: X509Certificate, now: number): CertificateState {
  const expires = Date.parse(certificate.validTo);
  if (Number.isNaN(expires))
    throw new AppError('TLS_FAILED', {
      message: 'The end of a certificate’s life could not be read.',
      fix: 'Have a new certificate issued.',
    });
  return {
    state: 'valid',
    issuer: nameOf(certificate.issuer),
    subject: nameOf(certificate.subject),
    expiresAt: new Date(expires).toISOString(),
    daysLeft: Math.floor((expires - now) / 86_400_000),
  };
}

/** The common name, else the whole name in one line; escaped, since a certificate is text from outside. */
function nameOf(distinguished: string): string {
  const common = /^CN=(.+)$/m.exec(distinguished)?.[1] ?? distinguished.replaceAll('\n', ', ');
  return quoteVendorText(common, [], 120).slice(1, -1);
}
