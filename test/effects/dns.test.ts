import { describe, expect, it } from 'vitest';
import { checkDomain, judgeAddresses, type Resolver, resolveHost } from '../../src/effects/dns/domain.ts';

const fail = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));
const resolver = (change: Partial<Resolver>): Resolver => ({
  resolve4: fail('ENODATA'),
  resolve6: fail('ENODATA'),
  lookup: fail('ENOTFOUND'),
  ...change,
});

describe('resolving', () => {
  it('follows the owner’s override before DNS', async () => {
    const asked = resolver({ resolve4: () => Promise.reject(new Error('DNS was asked')) });
    expect(await resolveHost('a.test', { resolve: ['*:443:203.0.113.7'] }, asked)).toEqual({
      addresses: ['203.0.113.7'],
      source: 'override',
    });
    expect(await resolveHost('a.test', { resolve: ['a.test:80:203.0.113.8:8080'] }, asked)).toEqual({
      addresses: ['203.0.113.8'],
      source: 'override',
    });
  });

  it('reads A and AAAA, and the machine’s own names when there are none', async () => {
    const both = resolver({ resolve4: async () => ['203.0.113.7'], resolve6: async () => ['2001:db8::7'] });
    expect(await resolveHost('a.test', {}, both)).toEqual({ addresses: ['203.0.113.7', '2001:db8::7'], source: 'dns' });
    expect(await resolveHost('box', {}, resolver({ lookup: async () => ['192.168.1.5'] }))).toEqual({
      addresses: ['192.168.1.5'],
      source: 'dns',
    });
    expect(await resolveHost('203.0.113.9', {}, resolver({}))).toEqual({ addresses: ['203.0.113.9'], source: 'dns' });
  });

  it('tells a name that does not exist from name servers that do not answer', async () => {
    expect((await resolveHost('nowhere.test', {}, resolver({}))).addresses).toEqual([]);
    const silent = resolver({ resolve4: fail('ETIMEOUT'), resolve6: fail('ETIMEOUT'), lookup: fail('EAI_AGAIN') });
    await expect(resolveHost('a.test', {}, silent)).rejects.toMatchObject({ code: 'DNS_FAILED', retry: 'later' });
    expect(await checkDomain({ host: 'a.test', expectedIp: '203.0.113.7', resolver: silent })).toMatchObject({ state: 'cdn-or-unknown' });
    expect(await checkDomain({ host: 'nowhere.test', expectedIp: '203.0.113.7', resolver: resolver({}) })).toMatchObject({
      state: 'unresolved',
    });
  });
});

describe('where a domain leads', () => {
  it.each([
    [['203.0.113.7'], '203.0.113.7', 'points-here'],
    [['203.0.113.7', '2001:db8::7'], '203.0.113.7', 'points-here'],
    [['::ffff:203.0.113.7'], '203.0.113.7', 'points-here'],
    [['2001:0db8::7'], '2001:db8:0::7', 'points-here'],
    [['203.0.113.7', '203.0.113.8'], '203.0.113.7', 'elsewhere'],
    [['203.0.113.8'], '203.0.113.7', 'elsewhere'],
    [['2001:db8::7'], '203.0.113.7', 'elsewhere'],
    [['104.21.5.5', '172.67.1.1'], '203.0.113.7', 'cdn-or-unknown'],
    [['2606:4700::6810:1'], '203.0.113.7', 'cdn-or-unknown'],
    [['203.0.113.7'], null, 'cdn-or-unknown'],
    [['203.0.113.7'], '', 'cdn-or-unknown'],
    [[], '203.0.113.7', 'unresolved'],
    [[], null, 'unresolved'],
  ])('%j, served by %s: %s', (addresses, expectedIp, state) => {
    expect(judgeAddresses('a.test', { addresses, source: 'dns' }, expectedIp).state).toBe(state);
  });

  it('says that an IPv6 address is not proven, and that an override decided', () => {
    expect(judgeAddresses('a.test', { addresses: ['203.0.113.7', '2001:db8::7'], source: 'dns' }, '203.0.113.7').say).toContain(
      'prefers IPv6',
    );
    expect(judgeAddresses('a.test', { addresses: ['127.0.0.1'], source: 'override' }, '127.0.0.1').say).toContain('--resolve');
  });
});
