/**
 * A real try of SMTP settings: connect, EHLO, TLS, login, and nothing is sent. Invariants:
 * 1. A password goes only over TLS with a trusted certificate: port 465 at once, 587 and 25 by STARTTLS.
 * 2. The host may come from a tool argument, so private addresses are refused unless the owner's `--resolve` leads there,
 *    and the address that was judged is the one that is used.
 */
import { promises as dns } from 'node:dns';
import { isIP } from 'node:net';
import type { Transporter } from 'nodemailer';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { addressRefused, isMetadataHost, isPrivateAddress, normalizeAddress } from '../http/addresses.ts';
import { overrideOf, trustedRoots } from '../http/reach.ts';
import { quoteVendorText } from '../http/vendor-text.ts';

export type SmtpSettings = {
  host: string;
  port: number;
  user: string;
  pass: string;
  /** TLS from the first byte. Default: true on port 465. */
  secure?: boolean;
};

export type SmtpOptions = {
  reach?: Reach;
  /** The host was typed by the owner, not by an agent. */
  allowPrivate?: boolean;
  /** Each phase, in ms. Default 10,000. */
  timeoutMs?: number;
  signal?: AbortSignal;
};

export const SMTP_PORTS = [587, 465, 25] as const;

export type SmtpField = 'host' | 'port' | 'user' | 'pass' | 'adminEmail' | 'senderName';

const PLACEHOLDERS: Record<SmtpField, string[]> = {
  port: ['2500'],
  host: ['supabase-mail', 'smtp.example.com', 'mail.example.com', 'example.com', 'localhost'],
  user: ['fake_mail_user', 'your-smtp-user'],
  pass: ['fake_mail_password', 'your-smtp-password'],
  adminEmail: ['admin@example.com', 'your-email@example.com'],
  senderName: ['fake_sender'],
};

/** True for an empty value and for those that templates ship, which send no mail (facts: SMTP fakes). */
export function isSmtpPlaceholder(field: SmtpField, value: string | number): boolean {
  const text = String(value).trim().toLowerCase();
  return text === '' || PLACEHOLDERS[field].includes(text);
}

/**
 * Proves that the settings let this user log in. Nothing is sent.
 * Throws SMTP_PORT_REFUSED, SMTP_UNREACHABLE (retry later), SMTP_TLS, SMTP_LOGIN_REFUSED, ADDRESS_REFUSED, ABORTED.
 */
export async function verifySmtp(settings: SmtpSettings, options: SmtpOptions = {}): Promise<{ ok: true }> {
  requirePort(settings.port);
  const where = await locate(settings, options);
  const { createTransport } = await import('nodemailer');
  const secure = settings.secure ?? settings.port === 465;
  const timeoutMs = options.timeoutMs ?? 10_000;
  const ca = trustedRoots(options.reach ?? {});
  const transport = createTransport({
    host: where.address,
    port: where.port,
    secure,
    requireTLS: !secure,
    auth: { user: settings.user, pass: settings.pass },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    tls: { ...(ca === undefined ? {} : { ca }), ...(isIP(settings.host) === 0 ? { servername: settings.host } : {}) },
  });
  try {
    await verifyOrAbort(transport, options.signal);
    return { ok: true };
  } catch (error) {
    throw toSmtpError(error, settings, options.signal);
  } finally {
    transport.close();
  }
}

async function verifyOrAbort(transport: Transporter, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([transport.verify(), aborted]);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

function requirePort(port: number): void {
  if (SMTP_PORTS.some((each) => each === port)) return;
  throw new AppError('SMTP_PORT_REFUSED', {
    message: `Port ${port} is no port for sending mail.`,
    fix: 'Use 587 (STARTTLS), 465 (TLS) or 25.',
  });
}

/** The address that is connected to, judged once. */
async function locate({ host, port }: SmtpSettings, options: SmtpOptions): Promise<{ address: string; port: number }> {
  const override = overrideOf(options.reach ?? {}, host, port);
  if (override) return override;
  if (isMetadataHost(host)) throw addressRefused(host, 'it is the metadata service of a cloud');
  const addresses = normalizeAddress(host) === null ? await lookupAll(host) : [host];
  const refused = addresses.find((address) => isMetadataHost(address) || (options.allowPrivate !== true && isPrivateAddress(address)));
  if (refused !== undefined) throw addressRefused(host, 'it leads to a private address');
  return { address: addresses[0] ?? host, port };
}

async function lookupAll(host: string): Promise<string[]> {
  try {
    return (await dns.lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    throw unreachable(`The mail server's name ${host} does not resolve to an address.`, 'Check the spelling of the host.');
  }
}

function unreachable(message: string, fix: string): AppError {
  return new AppError('SMTP_UNREACHABLE', { message, fix, retry: 'later' });
}

function toSmtpError(error: unknown, { host, port, user, pass }: SmtpSettings, signal: AbortSignal | undefined): AppError {
  if (error instanceof AppError) return error;
  if (signal?.aborted)
    return new AppError('ABORTED', {
      message: `The test of the mail server ${host} was stopped.`,
      fix: 'Nothing to do: it runs again when the run is resumed.',
      retry: 'later',
    });
  const read = (key: string): unknown => (error instanceof Error ? Reflect.get(error, key) : undefined);
  const code = String(read('code') ?? '');
  const response = read('response');
  const said =
    typeof response === 'string'
      ? ` It said ${quoteVendorText(response, [pass, user, Buffer.from(`\0${user}\0${pass}`).toString('base64')])}.`
      : '';
  const text = error instanceof Error ? error.message : '';
  if (code === 'EAUTH') {
    return new AppError('SMTP_LOGIN_REFUSED', {
      message: `The mail server ${host}:${port} refuses the login.${said}`,
      fix: 'Check user and password; many providers want an app password or an API key as the password.',
    });
  }
  if (code === 'ETLS' || /certificate|self.signed|altname|wrong version number|ssl|tls/i.test(text)) {
    return new AppError('SMTP_TLS', {
      message: `No trusted encryption with the mail server ${host}:${port} came about.${said}`,
      fix: 'Use port 465 for TLS from the start or 587 for STARTTLS, and the host name that the server’s certificate carries.',
    });
  }
  return unreachable(
    `The mail server ${host}:${port} does not answer.${said}`,
    'Check host and port; many networks block outgoing port 25, so prefer 587.',
  );
}
