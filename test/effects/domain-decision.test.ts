import { expect, test } from 'vitest';
import { isNumericHost } from '../../machines/effects/shapes.ts';
import { decideDomain, followingAddresses } from '../../src/effects/change/domain-decision.ts';
import { interpolated, pendingChanges } from '../../src/effects/change/running.ts';
import { AppError } from '../../src/errors.ts';

const route = { domainId: 'd1', host: 'a.org', https: true, certificateType: 'letsencrypt', port: 8000, path: '/', serviceName: 'kong' };

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError) return error.code;
  }
  return 'none';
}

test.each([
  ['a first domain becomes the address', [], { action: 'add', host: 'b.org' }, { from: [], origin: 'https://b.org' }],
  ['a second one does not', [route], { action: 'add', host: 'b.org' }, null],
  [
    'unless it is asked for',
    [route],
    { action: 'add', host: 'b.org', urlsFollow: true },
    { from: ['a.org', 'a.org'], origin: 'https://b.org' },
  ],
  ['a changed one does', [route], { action: 'change', host: 'A.org', newHost: 'b.org' }, { from: ['a.org'], origin: 'https://b.org' }],
  ['to http too', [route], { action: 'change', host: 'a.org', certificate: 'none' }, { from: ['a.org'], origin: 'http://a.org' }],
] as const)('%s', (_name, routes, request, follows) => {
  expect(decideDomain([...routes], 'kong', request, routes.length > 0 ? 'a.org' : null).follows).toEqual(follows);
});

test('a domain that led elsewhere leads to the gateway where that is asked for, and stays where it is not', () => {
  const astray = { ...route, port: 3000, serviceName: 'studio', path: '/x' };
  const led = (request: object) => decideDomain([astray], 'api-gw', { action: 'change', host: 'a.org', ...request }, 'a.org').fresh;
  expect(led({ toGateway: true })).toEqual({ ...route, port: 8000, serviceName: 'api-gw', path: '/' });
  expect(led({})).toEqual(astray);
});

test.each([
  [[route], { action: 'remove', host: 'a.org', toGateway: true }, 'DOMAIN_REQUEST_UNCLEAR'],
  [[route], { action: 'add', host: 'b.org', toGateway: true }, 'DOMAIN_REQUEST_UNCLEAR'],
  [[route], { action: 'add', host: 'A.org' }, 'DOMAIN_EXISTS'],
  [[route], { action: 'change', host: 'b.org' }, 'DOMAIN_UNKNOWN'],
  [[route, { ...route, host: 'b.org' }], { action: 'change', host: 'a.org', newHost: 'b.org' }, 'DOMAIN_EXISTS'],
  [[route], { action: 'remove', host: 'a.org' }, 'DOMAIN_LAST'],
  [[route], { action: 'remove', host: 'b.org' }, 'DOMAIN_UNKNOWN'],
  [[route], { action: 'remove', host: 'a.org', newHost: 'b.org' }, 'DOMAIN_REQUEST_UNCLEAR'],
] as const)('%# is refused', (routes, request, code) => {
  expect(codeOf(() => decideDomain([...routes], 'kong', request, 'a.org'))).toBe(code);
});

test('paths, wildcards and strangers in comma lists stay; a changed route keeps its row', () => {
  const env = new Map([
    ['SUPABASE_PUBLIC_URL', 'http://a.org'],
    ['API_EXTERNAL_URL', 'https://a.org/auth/v1'],
    ['SITE_URL', 'http://localhost:3000'],
    ['ADDITIONAL_REDIRECT_URLS', 'https://a.org/*, http://localhost:3000/*,https://a.org.evil.example/x'],
    ['SUPABASE_HOST', 'a.org'],
  ]);
  expect(Object.fromEntries(followingAddresses(env, { from: ['a.org'], origin: 'https://b.org' }))).toEqual({
    SUPABASE_PUBLIC_URL: 'https://b.org',
    API_EXTERNAL_URL: 'https://b.org/auth/v1',
    ADDITIONAL_REDIRECT_URLS: 'https://b.org/*, http://localhost:3000/*,https://a.org.evil.example/x',
    SUPABASE_HOST: 'b.org',
  });
  expect(decideDomain([route], 'kong', { action: 'change', host: 'a.org', newHost: 'b.org' }, 'a.org').routes[0]?.domainId).toBe('d1');
});

/** `#{X}` stands for a reference of docker compose, which looks like a template string of ours. */
const dollars = (text: string) => text.replace(/#(?=\{)/g, () => '$');

test.each([
  ['$NAME', 'v'],
  ['a#{NAME}b', 'avb'],
  ['#{NONE}', ''],
  ['#{NONE:-x}', 'x'],
  ['#{EMPTY:-x}', 'x'],
  ['#{EMPTY-x}', ''],
  ['#{NAME:+y}', 'y'],
  ['#{NONE:+y}', ''],
  ['$$NAME', '$NAME'],
  ['#{NAME:?gone}', 'v'],
  [7, '7'],
  [null, ''],
])('docker compose makes of %j: %j', (value, expected) => {
  expect(
    interpolated(
      typeof value === 'string' ? dollars(value) : value,
      new Map([
        ['NAME', 'v'],
        ['EMPTY', ''],
      ]),
    ),
  ).toBe(expected);
});

test('what runs is compared by image and variables, names only', () => {
  const compose =
    'services:\n  kong:\n    image: kong:#{V}\n    environment:\n      KEY: #{K}\n  db:\n    image: pg\n    environment: ["P=#{K}"]\n  new:\n    image: x\n';
  const running = [
    { service: 'kong', image: 'kong:3', env: ['KEY=old', 'PATH=/bin'] },
    { service: 'db', image: 'pg', env: ['P=fresh'] },
  ];
  const pending = pendingChanges(dollars(compose), 'V=3\nK=fresh\n', running);
  expect(pending).toEqual({ recreated: ['kong', 'new'], why: { kong: 'KEY', new: 'has no container' } });
  expect(pendingChanges('services: [', '', running)).toBeNull();
});

test('an address in any of its spellings is no name, and names with digits are', () => {
  const kept = ['1password.test', 'a.b4', 'x0.org', '4u.example.com', '0xyz.org', 'a1', 'v2.10x.org'];
  const addresses = ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '203.0.113.7', '10.0.0.1.'];
  expect(kept.filter(isNumericHost)).toEqual([]);
  expect(addresses.filter((host) => !isNumericHost(host))).toEqual([]);
  for (const host of addresses)
    expect(codeOf(() => decideDomain([], 'kong', { action: 'add', host }, null))).toBe('DOMAIN_REQUEST_UNCLEAR');
});
