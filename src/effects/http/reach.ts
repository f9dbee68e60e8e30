/**
 * How a host is reached: extra CA, `--resolve` entries, guarded name look-up. Invariants:
 * 1. An override changes only where the socket goes: TLS server name and Host header stay the original name.
 * 2. Every connection of a hand passes here, so a refused address is refused on each of them, also after a DNS answer.
 * 3. Certificates are checked unless the caller asks only to look at them.
 */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import * as tls from 'node:tls';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { addressRefused, isMetadataHost, isPrivateAddress, normalizeAddress, refuseMetadata } from './addresses.ts';

export type ResolveEntry = { host: string; port: number; address: string; toPort: number };

/** Where a socket goes, and under which name it is spoken to. */
export type Destination = { host: string; port: number };

export type ConnectOptions = {
  /** Also refuse private addresses (literal or by DNS); an override of the owner is still followed. */
  refusePrivate?: boolean;
  /** Only look at the certificate: connect although it is not trusted. Nothing secret may be sent then. */
  untrusted?: boolean;
};

/**
 * Parses `host:port:address[:port]`; host may be `*`, IPv6 stands in brackets. The last port is our extension to curl's form.
 * Throws RESOLVE_INVALID, or ADDRESS_REFUSED for a metadata address.
 */
export function parseResolve(text: string): ResolveEntry {
  const match = /^(\*|\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5}):(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::(\d{1,5}))?$/.exec(text.trim());
  const host = match?.[1] ?? '';
  const address = normalizeAddress(match?.[3] ?? '');
  const port = Number(match?.[2] ?? 0);
  const toPort = match?.[4] === undefined ? port : Number(match[4]);
  if (!match || address === null || !isPort(port) || !isPort(toPort)) {
    throw new AppError('RESOLVE_INVALID', {
      message: 'A resolve entry is not of the form host:port:address or host:port:address:port.',
      fix: 'Write it as in curl, such as supabase.example.com:443:203.0.113.7; an IPv6 address stands in brackets.',
    });
  }
  refuseMetadata(address);
  return { host: host.replace(/^\[|\]$/g, '').toLowerCase(), port, address, toPort };
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

/** The owner's override for a host and port: an exact host wins over `*`; null when there is none. */
export function overrideOf(reach: Reach, host: string, port: number): { address: string; port: number } | null {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  const entries = (reach.resolve ?? []).map(parseResolve).filter((entry) => entry.port === port);
  const entry = entries.find((each) => each.host === name) ?? entries.find((each) => each.host === '*');
  return entry ? { address: entry.address, port: entry.toPort } : null;
}

/** The trusted roots of this Node plus the extra one; undefined leaves Node's default untouched. */
export function trustedRoots(reach: Reach): string[] | undefined {
  return reach.ca === undefined ? undefined : [...systemRoots(), reach.ca];
}

function systemRoots(): readonly string[] {
  // Node 22.15+ also knows the roots of NODE_EXTRA_CA_CERTS and --use-system-ca; Node 20 knows the bundled ones.
  const read: unknown = Reflect.get(tls, 'getCACertificates');
  const roots: unknown = typeof read === 'function' ? read('default') : tls.rootCertificates;
  return Array.isArray(roots) ? roots : tls.rootCertificates;
}

/** Opens a plain or TLS socket to a destination; errors arrive as the socket's `error` event, refusals by rule are thrown. */
export function openSocket(secure: boolean, to: Destination, reach: Reach, options: ConnectOptions = {}): Socket {
  const host = to.host.replace(/^\[|\]$/g, '');
  const override = overrideOf(reach, host, to.port);
  refuseMetadata(host, options.refusePrivate === true && override === null);
  const where = { host: override?.address ?? host, port: override?.port ?? to.port, lookup: guardedLookup(options.refusePrivate === true) };
  if (!secure) return connectTcp(where);
  const ca = trustedRoots(reach);
  return tls.connect({
    ...where,
    ...(ca === undefined ? {} : { ca }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: options.untrusted !== true,
    // Without it the address of an override would be compared with the certificate instead of the name.
    checkServerIdentity: (_name, certificate) => tls.checkServerIdentity(host, certificate),
  });
}

/** A name look-up that refuses metadata addresses always and private ones on request, whatever DNS answers. */
export function guardedLookup(refusePrivate: boolean): LookupFunction {
  return (hostname, options, done) => {
    const all: LookupOptions & { all: true } = { ...options, all: true };
    lookup(hostname, all, (error, addresses: LookupAddress[]) => {
      if (error) return done(error, '', 0);
      const refused = addresses.find(({ address }) => isMetadataHost(address) || (refusePrivate && isPrivateAddress(address)));
      if (refused)
        return done(addressRefused(hostname, `it resolves to ${refused.address}, which is a private or metadata address`), '', 0);
      const first = addresses[0];
      if (options.all) return done(null, addresses);
      if (first) return done(null, first.address, first.family);
      return done(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '', 0);
    });
  };
}
