/** What of an earlier configuration may return: tables over the pure decision. */
import { expect, test } from 'vitest';
import { workflows } from '../../machines/registry.ts';
import { boundVariables } from '../../src/effects/change/env-edit.ts';
import { signingKeysWith, verifyingKeysWith } from '../../src/effects/change/key-sets.ts';
import { judgeRoutes } from '../../src/effects/change/parts.ts';
import { recreatedServices } from '../../src/effects/change/recreated.ts';
import { composeRefusals, mergeEnvironment } from '../../src/effects/change/restore-decision.ts';

const now = '# now\nPOSTGRES_PASSWORD=new\nJWT_SECRET=s1\nANON_KEY=a1\nSERVICE_ROLE_KEY=r1\nVAULT_ENC_KEY=v1\nSITE_URL=https://new\n';

test.each([
  [
    'nothing grown differs: byte for byte',
    '#  then \r\nPOSTGRES_PASSWORD=new\r\nJWT_SECRET=s1\r\nANON_KEY=a1\r\nSERVICE_ROLE_KEY=r1\r\nVAULT_ENC_KEY=v1\r\nSITE_URL=x',
    [],
  ],
  [
    'the password stays',
    '# then\nPOSTGRES_PASSWORD=old\nJWT_SECRET=s1\nANON_KEY=a1\nSERVICE_ROLE_KEY=r1\nVAULT_ENC_KEY=v1\nSITE_URL=x\n',
    ['POSTGRES_PASSWORD'],
  ],
  [
    'the keys follow the secret that stays',
    'JWT_SECRET=s0\nANON_KEY=a0\nSERVICE_ROLE_KEY=r0\nPOSTGRES_PASSWORD=new\nVAULT_ENC_KEY=v1\n',
    ['JWT_SECRET', 'ANON_KEY', 'SERVICE_ROLE_KEY'],
  ],
  ['keys alone may return', 'JWT_SECRET=s1\nANON_KEY=a0\nSERVICE_ROLE_KEY=r1\nPOSTGRES_PASSWORD=new\nVAULT_ENC_KEY=v1\n', []],
  [
    'what is not there now is taken out',
    'POOLER_TENANT_ID=t\nPOSTGRES_PASSWORD=new\nJWT_SECRET=s1\nANON_KEY=a1\nSERVICE_ROLE_KEY=r1\nVAULT_ENC_KEY=v1\n',
    ['POOLER_TENANT_ID'],
  ],
])('environment: %s', (_what, then, keeps) => {
  const { env, kept } = mergeEnvironment(now, then);
  expect(kept.map(({ name }) => name)).toEqual(keeps);
  expect(kept.every(({ why }) => why !== '')).toBe(true);
  if (keeps.length === 0) expect(env).toBe(then);
  expect(env.includes('POSTGRES_PASSWORD=old')).toBe(false);
  if (keeps.includes('POOLER_TENANT_ID')) expect(env).not.toContain('POOLER_TENANT_ID');
});

const compose = (over: { image?: string; volumes?: string; key?: string; studio?: string } = {}) => `services:
  db:
    image: ${over.image ?? 'supabase/postgres:17.6.1.136'}
    volumes: [${over.volumes ?? '../files/db:/data'}]
  realtime:
    image: supabase/realtime:v2
    environment: { DB_ENC_KEY: ${over.key ?? 'supabaserealtime'} }
  studio:
    image: supabase/studio:${over.studio ?? '1'}
`;

test.each([
  ['the same', compose(), []],
  ['another studio', compose({ studio: '2' }), []],
  ['another patch of the database', compose({ image: 'supabase/postgres:17.6.1.140' }), []],
  ['another major', compose({ image: 'supabase/postgres:15.8.1.060' }), ['the image of the database']],
  ['other volumes', compose({ volumes: 'other:/data' }), ['the volumes']],
  ['another encryption key', compose({ key: 'another16letters' }), ['DB_ENC_KEY']],
  ['rubbish', '{{{', ['the compose file']],
])('compose: %s', (_what, then, refused) => {
  expect(composeRefusals(compose(), then).map(({ what }) => what)).toEqual(refused);
});

const route = (host: string, over: object = {}) => ({
  domainId: host,
  host,
  https: true,
  certificateType: 'letsencrypt',
  port: 8000,
  path: '/',
  serviceName: 'kong',
  ...over,
});

test.each([
  ['as before', [route('a')], 'before'],
  ['as planned, with an id of its own', [route('b', { domainId: 'minted' })], 'after'],
  ['both for a moment', [route('a'), route('b')], 'between'],
  ['none for a moment', [], 'between'],
  ['a third', [route('c')], 'foreign'],
  ['edited', [route('a', { https: false })], 'foreign'],
])('domains: %s', (_what, found, judged) => {
  expect(judgeRoutes(found, [route('a')], [route('b')])).toBe(judged);
});

test('containers made anew: by variable, by text, by label; an unreadable file cannot be told', () => {
  const text =
    'x-a: &a { environment: { K: "§{SHARED}" } }\nservices:\n  one: { image: "x:§{TAG:-1}" }\n  two: { <<: *a, image: y }\n  three: { image: z, environment: ["P=$$PLAIN"] }\n  four: { image: w, env_file: .env }\n'.replaceAll(
      '§',
      '$',
    );
  const base = { env: 'TAG=1\nSHARED=2\nPLAIN=3\n', compose: text, routes: [] };
  const after = (over: object) => recreatedServices(base, { ...base, ...over });
  expect(after({ env: 'TAG=2\nSHARED=2\nPLAIN=3\n' })).toEqual(['one', 'four']);
  expect(after({ env: 'TAG=1\nSHARED=x\nPLAIN=3\n' })).toEqual(['two', 'four']);
  expect(after({ env: 'TAG=1\nSHARED=2\nPLAIN=x\n' })).toEqual(['four']);
  expect(after({ env: '# a comment\nTAG=1\nSHARED=2\nPLAIN=3\n' })).toEqual([]);
  expect(after({ compose: text.replace('image: z', 'image: zz') })).toEqual(['three']);
  expect(after({ routes: [route('a', { serviceName: 'two' })] })).toEqual(['two']);
  expect(after({ compose: '{{{' })).toBeNull();
});

test('key sets: asymmetric keys stay, private parts never reach the verifying set, the secret is embedded once', () => {
  const ec = { kty: 'EC', kid: 'k', crv: 'P-256', x: 'x', y: 'y', d: 'private' };
  const oct = (secret: string) => ({ kty: 'oct', k: Buffer.from(secret).toString('base64url'), alg: 'HS256' });
  expect(JSON.parse(signingKeysWith(JSON.stringify([ec, oct('old')]), 'new'))).toEqual([ec, oct('new')]);
  expect(JSON.parse(signingKeysWith('nonsense', 'new'))).toEqual([oct('new')]);
  const { d: _, ...open } = ec;
  expect(JSON.parse(verifyingKeysWith('', JSON.stringify([ec]), 'new'))).toEqual({ keys: [open, oct('new')] });
  expect(JSON.parse(verifyingKeysWith(JSON.stringify([open, oct('old')]), JSON.stringify([ec]), 'new'))).toEqual({
    keys: [open, oct('new')],
  });
});

test('the workflow that is said to change a bound value exists', () => {
  const named = Object.values(boundVariables).flatMap(({ workflow }) => workflow ?? []);
  expect([...new Set(named)].filter((name) => !(name in workflows))).toEqual([]);
  expect(named.length).toBeGreaterThan(5);
});
