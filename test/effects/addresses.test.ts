import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isMetadataHost, isPrivateAddress, normalizeAddress, parseBaseUrl } from '../../src/effects/http/addresses.ts';
import { AppError } from '../../src/errors.ts';

describe('base URLs', () => {
  it.each([
    ['https://dokploy.example.com', 'https://dokploy.example.com'],
    [' https://dokploy.example.com/ ', 'https://dokploy.example.com'],
    ['HTTPS://Dokploy.Example.com:443', 'https://dokploy.example.com'],
    ['https://[2001:db8::1]:3000/', 'https://[2001:db8::1]:3000'],
  ])('takes %s without a warning', (text, url) => {
    expect(parseBaseUrl(text)).toEqual({ url, warnings: [] });
  });

  it('warns that keys travel in clear over http', () => {
    const { url, warnings } = parseBaseUrl('http://203.0.113.7:3000/');
    expect(url).toBe('http://203.0.113.7:3000');
    expect(warnings).toEqual([{ code: 'KEY_SENT_IN_CLEAR', say: expect.stringContaining('http://203.0.113.7:3000') }]);
  });

  it.each([
    '',
    'dokploy.example.com',
    'ftp://dokploy.example.com',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://user:hunter2secret@dokploy.example.com',
    'https://dokploy.example.com/?key=hunter2secret',
    'https://dokploy.example.com/#x',
    'https://dokploy.example.com/dashboard',
  ])('refuses %s without repeating a secret', (text) => {
    const error = thrownBy(() => parseBaseUrl(text));
    expect(error.code).toBe('URL_INVALID');
    expect(error.fix).toBeTruthy();
    expect(JSON.stringify(error) + error.message).not.toContain('hunter2secret');
  });

  it('keeps a plain path only where one is allowed', () => {
    expect(parseBaseUrl('https://t.example.com/mirror/', { allowPath: true }).url).toBe('https://t.example.com/mirror');
    expect(thrownBy(() => parseBaseUrl('https://t.example.com/a//b', { allowPath: true })).code).toBe('URL_INVALID');
    expect(thrownBy(() => parseBaseUrl('https://t.example.com/%2e%2e%2fb', { allowPath: true })).code).toBe('URL_INVALID');
  });

  it.each([
    'http://169.254.169.254',
    'http://2852039166',
    'http://[::ffff:a9fe:a9fe]',
    'http://METADATA.google.internal.',
    'http://[fd00:ec2::254]/',
  ])('refuses the metadata address %s', (text) => {
    expect(thrownBy(() => parseBaseUrl(text)).code).toBe('ADDRESS_REFUSED');
  });

  it('answers or throws an AppError for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true })), (text) => {
        try {
          return parseBaseUrl(text).url.startsWith('http');
        } catch (error) {
          return error instanceof AppError;
        }
      }),
    );
  });
});

describe('addresses', () => {
  it.each([
    ['127.0.0.1', true],
    ['0.0.0.0', true],
    ['10.1.2.3', true],
    ['172.16.0.1', true],
    ['172.32.0.1', false],
    ['192.168.1.1', true],
    ['100.64.0.1', true],
    ['169.254.1.1', true],
    ['224.0.0.1', true],
    ['255.255.255.255', true],
    ['203.0.113.7', false],
    ['8.8.8.8', false],
    ['::1', true],
    ['::', true],
    ['[::1]', true],
    ['fe80::1%eth0', true],
    ['fd12::1', true],
    ['::ffff:10.0.0.1', true],
    ['::ffff:8.8.8.8', false],
    ['64:ff9b::7f00:1', true],
    ['2002:7f00:1::', true],
    ['2606:4700::1', false],
    ['not an address', true],
    ['', true],
  ])('judges %s as private: %s', (address, verdict) => {
    expect(isPrivateAddress(address)).toBe(verdict);
  });

  it('knows every spelling of an IPv4 address inside IPv6', () => {
    expect(normalizeAddress('::FFFF:169.254.169.254')).toBe('169.254.169.254');
    expect(isMetadataHost('::ffff:a9fe:a9fe')).toBe(true);
    expect(isMetadataHost('example.com')).toBe(false);
  });
});

function thrownBy(work: () => unknown): AppError {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error;
  }
  throw new Error('expected an AppError');
}
