/** JWT_KEYS and JWT_JWKS, which embed the JWT secret, and the new-style keys. */
import { docs, type Finding } from '../findings.ts';
import { atVariable, type Look, type Rule, thenDeploy } from '../look.ts';
import { readJson } from '../tokens.ts';

export const keySetRules: readonly Rule[] = [signingKeys, verifyingKeys, verifiersMissing, newKeys];

const made = `Make JWT_KEYS and JWT_JWKS anew from the JWT_SECRET that stands and set both ${thenDeploy}.`;

function signingKeys(look: Look): Finding[] {
  const text = look.env.get('JWT_KEYS') ?? '';
  if (text === '') return [];
  const value = readJson(text);
  const expected = 'A JSON array of keys; [] where none are used';
  if (!Array.isArray(value) || !value.every(isKey))
    return [said(look, 'JWT_KEYS', 'JWT_KEYS_SHAPE', 'JWT_KEYS is no JSON array of keys, and Auth does not start with it.', expected)];
  return value.length === 0 ? [] : embeds(look, 'JWT_KEYS', value);
}

function verifyingKeys(look: Look): Finding[] {
  const text = look.env.get('JWT_JWKS') ?? '';
  if (text === '') return [];
  const value = readJson(text);
  const keys = typeof value === 'object' && value !== null && !Array.isArray(value) ? Reflect.get(value, 'keys') : undefined;
  if (!Array.isArray(keys) || !keys.every(isKey))
    return [
      said(look, 'JWT_JWKS', 'JWT_JWKS_SHAPE', 'JWT_JWKS is no object with a list of keys; Realtime fails with it.', '{"keys": [...]}'),
    ];
  return embeds(look, 'JWT_JWKS', keys);
}

/** Both hold JWT_SECRET as an `oct` key: the classic trap after a change of the secret. */
function embeds(look: Look, variable: string, keys: readonly object[]): Finding[] {
  const secret = look.env.get('JWT_SECRET') ?? '';
  if (secret === '') return [];
  const wanted = Buffer.from(secret, 'utf8').toString('base64url');
  if (keys.some((key) => Reflect.get(key, 'kty') === 'oct' && Reflect.get(key, 'k') === wanted)) return [];
  return [
    {
      ...said(
        look,
        variable,
        `${variable}_SECRET`,
        `${variable} does not embed the JWT_SECRET of this environment.`,
        'An oct key that is JWT_SECRET',
      ),
      severity: 'critical',
    },
  ];
}

function verifiersMissing(look: Look): Finding[] {
  const value = readJson(look.env.get('JWT_KEYS') ?? '');
  if (!Array.isArray(value) || value.length === 0 || (look.env.get('JWT_JWKS') ?? '') !== '') return [];
  const sentence = 'JWT_KEYS makes Auth sign with its own keys, but JWT_JWKS is not there: the services behind refuse every session.';
  return [said(look, 'JWT_JWKS', 'JWT_JWKS_MISSING', sentence, '{"keys": [...]} with the public keys of JWT_KEYS')];
}

function newKeys(look: Look): Finding[] {
  const prefixes = { SUPABASE_PUBLISHABLE_KEY: 'sb_publishable_', SUPABASE_SECRET_KEY: 'sb_secret_' };
  return Object.entries(prefixes).flatMap(([variable, prefix]) => {
    const value = look.env.get(variable) ?? '';
    if (value === '' || value.startsWith(prefix)) return [];
    const sentence = `${variable} is not a key of the kind that belongs there.`;
    const fix = `Set ${variable} to a key that starts with ${prefix}, or leave it empty, ${thenDeploy}.`;
    return [{ ...said(look, variable, 'NEW_KEY_KIND', sentence, `${prefix}…`), fix }];
  });
}

function isKey(value: unknown): value is object {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'kty') === 'string';
}

function said(look: Look, variable: string, code: string, say: string, expected: string): Finding {
  return atVariable(look, variable, { code, severity: 'error', say, expected, fix: made, docs: docs.keys });
}
