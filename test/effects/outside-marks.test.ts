/** What an instance's public answers say of its generation, and what they do not. */
import { expect, test } from 'vitest';
import { keyStyleOf, suffixOf } from '../../src/effects/supabase/outside-marks.ts';

const saml = (entity: string) => ({ status: 200, text: `<?xml version="1.0"?><EntityDescriptor entityID="${entity}" cacheDuration="x"/>` });
const refused = { status: 401, text: '{"message":"No API key found in request"}' };
const gone = { status: 404, text: '{"error_code":"saml_provider_disabled"}' };

test.each([
  ['auth named with its path', [saml('https://x.test/auth/v1/sso/saml/metadata'), refused], true],
  ['auth named without it, at the root', [refused, saml('https://x.test/sso/saml/metadata')], false],
  ['a path of the owner before it', [saml('https://x.test/base/auth/v1/sso/saml/metadata')], true],
  ['SAML is off', [gone, refused], 'unknown'],
  ['a login page with an entity of somebody else', [{ status: 200, text: '<a entityID="https://idp.test/metadata">' }], 'unknown'],
  ['an entity behind a refusal', [{ ...saml('https://x.test/auth/v1/sso/saml/metadata'), status: 403 }], 'unknown'],
  ['silence', ['HOST_NOT_FOUND: no'], 'unknown'],
])('%s', (_what, answers, value) => {
  expect(suffixOf(answers)).toMatchObject({ value, because: expect.stringMatching(/./) });
});

const set = (...keys: unknown[]) => ({ status: 200, text: JSON.stringify({ keys }) });
const ok = { status: 200, text: '{}' };

test.each([
  ['the stored key is taken', { accepted: ok, keys: refused }, true],
  ['a public signing key is published', { accepted: undefined, keys: set({ kty: 'EC' }) }, true],
  ['only a shared secret is published, which nobody should', { accepted: undefined, keys: set({ kty: 'oct' }) }, 'unknown'],
  ['the stored key is refused: another may be set', { accepted: refused, keys: set() }, 'unknown'],
  ['nothing is published, and no key is known', { accepted: undefined, keys: set() }, 'unknown'],
  ['the gateway has no such route', { accepted: undefined, keys: refused }, 'unknown'],
  ['what comes is no key set', { accepted: undefined, keys: { status: 200, text: '<html>' } }, 'unknown'],
  ['silence', { accepted: 'TLS_UNKNOWN_CA: no', keys: 'TLS_UNKNOWN_CA: no' }, 'unknown'],
])('keys of the new form: %s', (_what, seen, value) => {
  expect(keyStyleOf(seen)).toMatchObject({ value, because: expect.stringMatching(/./) });
});
