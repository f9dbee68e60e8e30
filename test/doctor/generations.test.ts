import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readComposeView } from '../../src/effects/doctor/compose-view.ts';
import { factsOfTexts } from '../../src/effects/doctor/texts.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { isSecretVariable } from '../../src/masking.ts';
import { changed, demoSecret, generationA, generationB } from '../../src/sandbox/instances/environments.ts';
import { composeText, examine, generationC, healthyDomain, healthyEnv, healthyFacts, host, now, ofEnv, token } from './instances.ts';

const cases: [string, string, string[], string[]][] = [
  ['A', generationA(), ['SECRET_PUBLIC', 'KEY_PUBLIC', 'URL_NOT_HTTPS'], ['KEY_ROLE_MISSING', 'KEYS_IDENTICAL', 'KEY_SIGNATURE']],
  ['B', generationB(), ['KEYS_IDENTICAL', 'KEY_ROLE_MISSING', 'KEY_ISSUER', 'URL_NOT_HTTPS'], ['KEY_PUBLIC', 'KEY_SIGNATURE']],
  ['B', generationB(true), ['KEYS_SAME_BUT_IAT', 'KEY_ROLE_MISSING', 'KEY_ISSUER'], ['KEYS_IDENTICAL', 'KEY_SIGNATURE']],
];

test.each(cases)('generation %s is named and told what is wrong with it', (id, env, there, absent) => {
  const { generation, findings, counts } = examine(ofEnv(env));
  expect(generation.id).toBe(id);
  const codes = findings.map(({ code }) => code);
  expect(codes).toEqual(expect.arrayContaining(there));
  expect(codes.filter((code) => absent.includes(code))).toEqual([]);
  expect(counts.critical).toBeGreaterThan(0);
  expect(findings[0]?.severity).toBe('critical');
});

test('generation C as the template makes it, reached over https, has no critical finding and no error', () => {
  const env = generationC();
  const own = /SUPABASE_HOST=(\S+)/.exec(env)?.[1] ?? '';
  const facts = factsOfTexts({ env, compose: composeText, domains: JSON.stringify([{ ...healthyDomain, host: own }]) });
  const { generation, counts, findings } = examine(facts);
  expect(generation.id).toBe('C');
  expect(findings.filter(({ severity }) => severity === 'critical' || severity === 'error')).toEqual([]);
  expect(counts.warning).toBeGreaterThan(0);
});

test('a route without https below an environment with https is an error: so Dokploy makes it', () => {
  const facts = { ...healthyFacts(), domains: [{ ...healthyDomain, https: false, certificateType: 'none' }] };
  expect(
    examine(facts)
      .findings.filter(({ severity }) => severity === 'error')
      .map(({ code, at }) => `${code} ${at}`),
  ).toEqual(['URL_ROUTE_SCHEME SUPABASE_PUBLIC_URL', 'URL_ROUTE_SCHEME API_EXTERNAL_URL', `DOMAIN_HTTP domain ${host}`]);
});

test.each([
  ['repaired keys in the variables of A', () => changed(generationA(), keysOf('own-secret-of-more-than-32-characters')), 'A'],
  ['repaired keys in the variables of B', () => changed(generationB(), keysOf('own-secret-of-more-than-32-characters')), 'B'],
  ['Supabase’s own compose', () => changed(healthyEnv, { SUPABASE_HOST: undefined, PROXY_DOMAIN: 'x' }), 'upstream'],
  ['the public secret with other keys', () => changed(healthyEnv, { JWT_SECRET: demoSecret }), 'A'],
  ['something else', () => 'A=1', 'unknown'],
])('%s: the generation is %s', (_what, env, id) => {
  expect(examine(ofEnv(env())).generation.id).toBe(id);
});

function keysOf(secret: string) {
  const key = (role: string) => token({ role, iss: 'supabase', iat: now / 1000, exp: now / 1000 + 157_680_000 }, secret);
  return { JWT_SECRET: secret, ANON_KEY: key('anon'), SERVICE_ROLE_KEY: key('service_role') };
}

test('what was not looked at is named, and is no finding', () => {
  expect(examine(ofEnv(healthyEnv)).notLookedAt).toEqual(['compose file', 'domains', 'containers', 'certificate', 'live checks']);
  expect(examine(ofEnv(healthyEnv)).summary).toMatch(/^\d+ findings?, 0 critical, no error$/);
});

test.each([
  ['A', generationA()],
  ['B', generationB()],
  ['C', generationC()],
  ['healthy', healthyEnv],
])('no secret of %s stands in a diagnosis', (_name, env) => {
  const broken = changed(env, {
    API_EXTERNAL_URL: 'http://user:canary-4711-secret@x.example.org/?t=canary-4711-secret',
    SITE_URL: 'canary-4711-secret',
  });
  for (const text of [env, broken.replace('SITE_URL=canary-4711-secret', 'SITE_URL=nothing')]) {
    const told = JSON.stringify(examine(ofEnv(text)));
    for (const [name, value] of envVariables(parseEnv(text)))
      if (isSecretVariable(name) && value.length >= 8 && value !== 'fake_mail_password') expect(told, name).not.toContain(value);
    expect(told).not.toContain('canary-4711-secret');
  }
});

test('any text is diagnosed without a throw, and never called healthy unless it is one', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 300 })),
      fc.string({ maxLength: 100 }),
      (env, compose) => {
        const { counts } = examine(factsOfTexts({ env, compose }));
        expect(counts.critical + counts.error).toBeGreaterThan(0);
      },
    ),
    { numRuns: 500 },
  );
});

test('an environment of 1 MB is diagnosed within two seconds', () => {
  const env = `${healthyEnv}\n${'# filler of a long comment line that says nothing\n'.repeat(20_000)}`;
  expect(env.length).toBeGreaterThan(1_000_000);
  const start = performance.now();
  expect(examine(ofEnv(env)).counts.critical).toBe(0);
  expect(performance.now() - start).toBeLessThan(2_000);
});

test('a compose file is read with anchors, merge keys, both forms of environment and ports; comments name no variable', () => {
  const view = readComposeView(
    [
      "x-a: &a { image: 'x:1', environment: { A: '§{A}' } }",
      'services:',
      '  one:',
      '    <<: *a',
      "    ports: ['1:2', {target: 3, published: '4', host_ip: 127.0.0.1}, 9]",
      '  # §{NOT_READ}',
      '  two:',
      "    environment: ['B=§{B:-x}', C]",
      "    command: '$$D $E §{B}'",
    ]
      .join('\n')
      .replaceAll('§', '$'),
  );
  expect(view).toEqual({
    services: [
      { name: 'one', image: 'x:1', containerName: null, ports: ['1:2', '127.0.0.1:4:3', '9'], environment: { A: `\${A}` } },
      { name: 'two', image: null, containerName: null, ports: [], environment: { B: `\${B:-x}`, C: '' } },
    ],
    references: [
      { name: 'A', optional: false },
      { name: 'B', optional: false },
      { name: 'E', optional: false },
    ],
  });
  expect(readComposeView('not: a compose')).toBe('unreadable');
  expect(readComposeView('{{{')).toBe('unreadable');
});
