const secretName = /(PASSWORD|PASS$|SECRET|TOKEN|_KEY$|KEY_BASE|ANON_KEY|PRIVATE|ACCESS_KEY|CREDENTIAL|JWT_KEYS|JWKS)/;

/** True for a variable whose value is never shown, and never taken but by reference. */
export function isSecretVariable(name: string): boolean {
  return secretName.test(name);
}
