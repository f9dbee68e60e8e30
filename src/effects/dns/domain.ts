/**
 * Where a name leads. Invariants:
 * 1. An override of the owner (`--resolve`) counts before DNS, and the answer says which of the two it was.
 * 2. `points-here` is said only when an address equals the expected one; a failing look-up is unknown, not "unresolved".
 */
import { promises as dns } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { normalizeAddress } from '../http/addresses.ts';
import { overrideOf } from '../http/reach.ts';

export type ResolvedHost = { addresses: string[]; source: 'override' | 'dns' };

export type Resolver = {
  resolve4(host: string): Promise<string[]>;
  resolve6(host: string): Promise<string[]>;
  /** The machine's own way, with its hosts file. */
  lookup(host: string): Promise<string[]>;
};

export type DomainCheck = { state: 'points-here' | 'elsewhere' | 'unresolved' | 'cdn-or-unknown'; say: string; addresses: string[] };

const ABSENT = new Set(['ENOTFOUND', 'ENODATA', 'NXDOMAIN']);

/**
 * All addresses of a host, IPv4 first; empty when the name does not exist.
 * Throws DNS_FAILED (retry later) when the name servers could not be asked.
 */
export async function resolveHost(host: string, reach: Reach, resolver: Resolver = systemResolver()): Promise<ResolvedHost> {
  const override = overrideOf(reach, host, 443) ?? overrideOf(reach, host, 80);
  if (override) return { addresses: [override.address], source: 'override' };
  const literal = normalizeAddress(host);
  if (literal !== null) return { addresses: [literal], source: 'dns' };
  const [four, six] = await Promise.all([ask(() => resolver.resolve4(host)), ask(() => resolver.resolve6(host))]);
  const answered = [...new Set([...four.addresses, ...six.addresses])];
  if (answered.length > 0) return { addresses: answered, source: 'dns' };
  // The hosts file and names of the local network are known to the machine only.
  const local = await ask(() => resolver.lookup(host));
  if (local.addresses.length > 0) return { addresses: local.addresses, source: 'dns' };
  if (local.answered) return { addresses: [], source: 'dns' };
  throw new AppError('DNS_FAILED', {
    message: `The name servers could not be asked about ${host}.`,
    fix: 'Check this machine’s network and try again.',
    retry: 'later',
  });
}

type Asked = { addresses: string[]; answered: boolean };

async function ask(question: () => Promise<string[]>): Promise<Asked> {
  try {
    return { addresses: await question(), answered: true };
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return { addresses: [], answered: typeof code === 'string' && ABSENT.has(code) };
  }
}

/** DNS by the configured name servers, each question at most 5 s, twice. */
export function systemResolver(): Resolver {
  const resolver = new dns.Resolver({ timeout: 5_000, tries: 2 });
  return {
    resolve4: (host) => resolver.resolve4(host),
    resolve6: (host) => resolver.resolve6(host),
    lookup: async (host) => (await dns.lookup(host, { all: true })).map(({ address }) => address),
  };
}

/**
 * Does a domain lead to the machine that serves it? `expectedIp` null means that the machine's address is not known.
 * Never throws for DNS trouble: that is `cdn-or-unknown`. IPv4 and IPv6 are both read.
 */
export async function checkDomain(options: {
  host: string;
  expectedIp: string | null;
  reach?: Reach;
  resolver?: Resolver;
}): Promise<DomainCheck> {
  const { host, expectedIp } = options;
  try {
    const resolved = await resolveHost(host, options.reach ?? {}, options.resolver ?? systemResolver());
    return judgeAddresses(host, resolved, expectedIp);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'DNS_FAILED') throw error;
    return { state: 'cdn-or-unknown', say: error.message, addresses: [] };
  }
}

/** Pure: the verdict on what a name resolved to. */
export function judgeAddresses(host: string, { addresses, source }: ResolvedHost, expectedIp: string | null): DomainCheck {
  const list = addresses.join(', ');
  const by = source === 'override' ? ' (by your --resolve entry)' : '';
  if (addresses.length === 0) return { state: 'unresolved', say: `The name ${host} has no A or AAAA record.`, addresses };
  const expected = expectedIp === null ? null : normalizeAddress(expectedIp);
  if (expected === null) {
    return {
      state: 'cdn-or-unknown',
      say: `${host} resolves to ${list}${by}, and the address of the machine that serves it is not known.`,
      addresses,
    };
  }
  const plain = addresses.map((address) => normalizeAddress(address) ?? address);
  if (plain.includes(expected)) return pointsHere(host, plain, expected, by, addresses);
  if (plain.some(isCloudflare)) {
    return { state: 'cdn-or-unknown', say: `${host} resolves to Cloudflare (${list}), which hides where it leads.`, addresses };
  }
  return { state: 'elsewhere', say: `${host} resolves to ${list}${by}, but it is served by ${expected}.`, addresses };
}

function pointsHere(host: string, plain: string[], expected: string, by: string, addresses: string[]): DomainCheck {
  const family = isIP(expected);
  const strays = plain.filter((address) => isIP(address) === family && address !== expected);
  if (strays.length > 0) {
    return {
      state: 'elsewhere',
      say: `${host} resolves to ${expected}, but also to ${strays.join(', ')}, so some requests go astray.`,
      addresses,
    };
  }
  const others = plain.filter((address) => isIP(address) !== family);
  const note =
    others.length === 0
      ? ''
      : ` It also has ${others.join(', ')}; make sure that this is the same machine, since Let’s Encrypt prefers IPv6.`;
  return { state: 'points-here', say: `${host} resolves to ${expected}${by}.${note}`, addresses };
}

const CLOUDFLARE = createCloudflareList();

/** Published at https://www.cloudflare.com/ips/ . */
function createCloudflareList(): BlockList {
  const list = new BlockList();
  const v4 =
    '173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20 188.114.96.0/20 197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13 131.0.72.0/22';
  const v6 = '2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29 2c0f:f248::/32';
  for (const [text, family] of [
    [v4, 'ipv4'],
    [v6, 'ipv6'],
  ] as const) {
    for (const range of text.split(' ')) {
      const [net = '', bits = '0'] = range.split('/');
      list.addSubnet(net, Number(bits), family);
    }
  }
  return list;
}

function isCloudflare(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && CLOUDFLARE.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
