/**
 * Which addresses may be spoken to (design.md §6). Invariants:
 * 1. Metadata addresses of clouds are refused always, whoever typed them and in whatever notation.
 * 2. Private addresses are judged here and refused by callers that got them from a tool argument, a redirect or remote text.
 * 3. Pure: no name is looked up here.
 */
import { BlockList, isIP } from 'node:net';
import { AppError } from '../../errors.ts';

const METADATA_HOSTS = new Set(['metadata.google.internal', 'metadata.goog', 'instance-data', 'instance-data.ec2.internal']);
const METADATA_ADDRESSES = new Set(['169.254.169.254', '169.254.170.2', '100.100.100.200', 'fd00:ec2::254']);

const PRIVATE = createPrivateList();

function createPrivateList(): BlockList {
  const list = new BlockList();
  const v4: [string, number][] = [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ];
  // 64:ff9b::/96 and 2002::/16 carry an IPv4 address inside, which a relay would unpack: refused as a whole.
  const v6: [string, number][] = [
    ['::', 127],
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
    ['2002::', 16],
    ['fc00::', 7],
    ['fe80::', 10],
    ['fec0::', 10],
    ['ff00::', 8],
  ];
  for (const [net, bits] of v4) list.addSubnet(net, bits, 'ipv4');
  for (const [net, bits] of v6) list.addSubnet(net, bits, 'ipv6');
  return list;
}

/** One spelling per address: no brackets, no zone, lower case, IPv4 inside IPv6 taken out; null when it is no IP address. */
export function normalizeAddress(text: string): string | null {
  const bare = text.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  if (isIP(bare) === 4) return bare;
  if (isIP(bare) !== 6) return null;
  // The URL parser compresses IPv6 in the one canonical way.
  const canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (!mapped) return canonical;
  const [high, low] = [Number.parseInt(mapped[1] ?? '0', 16), Number.parseInt(mapped[2] ?? '0', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** True for loopback, private, link-local, shared, multicast and reserved addresses, and for text that is no IP address at all. */
export function isPrivateAddress(address: string): boolean {
  const plain = normalizeAddress(address);
  if (plain === null) return true;
  return PRIVATE.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6');
}

/** True for the addresses and names under which clouds hand out credentials to whoever asks from inside. */
export function isMetadataHost(host: string): boolean {
  const plain = normalizeAddress(host);
  if (plain !== null) return METADATA_ADDRESSES.has(plain);
  return METADATA_HOSTS.has(host.toLowerCase().replace(/\.$/, ''));
}

export type BaseUrlWarning = { code: 'KEY_SENT_IN_CLEAR'; say: string };
export type BaseUrl = { url: string; warnings: BaseUrlWarning[] };

/**
 * Turns what a person typed into a base URL without trailing slash.
 * Only http and https, no user or password, no query or fragment, no path unless `allowPath`.
 * Throws URL_INVALID or ADDRESS_REFUSED; warns KEY_SENT_IN_CLEAR for http.
 */
export function parseBaseUrl(text: string, options: { allowPath?: boolean } = {}): BaseUrl {
  const trimmed = text.trim();
  if (!URL.canParse(trimmed))
    throw invalidUrl(
      'The address is not a URL.',
      'Give it with its scheme, such as https://dokploy.example.com or http://203.0.113.7:3000.',
    );
  const url = new URL(trimmed);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalidUrl('The address is neither http nor https.', 'Give an address that begins with https:// or http://.');
  }
  if (url.username !== '' || url.password !== '') {
    throw invalidUrl(
      'The address carries a user name or password.',
      'Leave them out; extra credentials go into a header with --header NAME=env:VARIABLE.',
    );
  }
  if (url.search !== '' || url.hash !== '') throw invalidUrl('The address carries a query or a fragment.', `Use ${url.origin}.`);
  const path = url.pathname.replace(/\/+$/, '');
  if (path !== '' && (!options.allowPath || /%2e|%2f|\\|\/\//i.test(path))) {
    throw invalidUrl('The address carries a path, and the API stands at the root.', `Use ${url.origin}.`);
  }
  refuseMetadata(url.hostname);
  const warnings: BaseUrlWarning[] = [];
  if (url.protocol === 'http:') {
    warnings.push({
      code: 'KEY_SENT_IN_CLEAR',
      say: `Keys travel unencrypted to ${url.origin}, since its address is http; give it an https address as soon as possible.`,
    });
  }
  return { url: `${url.origin}${path}`, warnings };
}

/** Throws ADDRESS_REFUSED for metadata hosts, and for private IP addresses when `refusePrivate` is set. Names pass; they are judged when resolved. */
export function refuseMetadata(host: string, refusePrivate = false): void {
  if (isMetadataHost(host)) throw addressRefused(host, 'it is the metadata service of a cloud');
  if (refusePrivate && normalizeAddress(host) !== null && isPrivateAddress(host)) throw addressRefused(host, 'it is a private address');
}

/** The refusal of an address by rule, before anything was sent. */
export function addressRefused(host: string, why: string): AppError {
  return new AppError('ADDRESS_REFUSED', {
    message: `The address ${host} is refused, because ${why}.`,
    fix: 'Use a public address; the owner can allow another one with --resolve host:port:address on the stored dokploy or target.',
  });
}

function invalidUrl(message: string, fix: string): AppError {
  return new AppError('URL_INVALID', { message, fix });
}
