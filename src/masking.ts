/** What may be shown of an environment value. Pure. */
import { isSecretVariable as isSecretName } from '../machines/effects/secret-names.ts';
import { envVariables, parseEnv } from './env-text.ts';

/** True for a name whose value is never shown. */
export function isSecretVariable(name: string): boolean {
  return isSecretName(name);
}

/** The value cut to 120 printable characters, or only its length when the name or the value itself looks secret. */
export function maskValue(name: string, value: string): string {
  if (value === '') return '(empty)';
  if (isSecretVariable(name) || /eyJ[\w-]+\.[\w-]+\./.test(value) || /:\/\/[^\s/@]+:[^\s/@]+@/.test(value))
    return `(secret, ${value.length} characters)`;
  const plain = value.replace(/[\p{Cc}\p{Cf}]/gu, '?');
  return plain.length > 120 ? `${plain.slice(0, 119)}…` : plain;
}

export type ThreeWay = { variable: string; before: string; found: string; ours: string };

/** Variables that somebody else changed since the before-image, with all three values masked (E9); equal secrets read "(same)". */
export function compareThreeWays(before: string, found: string, ours: string): ThreeWay[] {
  const [was, is, want] = [before, found, ours].map((text) => envVariables(parseEnv(text)));
  if (!was || !is || !want) return [];
  const shown = (name: string, value: string | undefined, base: string | undefined) =>
    value === undefined ? '(unset)' : value === base ? '(same)' : maskValue(name, value);
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((name) => was.get(name) !== is.get(name))
    .map((name) => ({
      variable: name,
      before: was.has(name) ? maskValue(name, was.get(name) ?? '') : '(unset)',
      found: shown(name, is.get(name), was.get(name)),
      ours: shown(name, want.get(name), was.get(name)),
    }));
}
