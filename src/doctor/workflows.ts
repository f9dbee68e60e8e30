/** Which workflow carries out the fix of a finding, where the instance is a target. Pure. */
import type { Finding } from './findings.ts';

const keyPlaces = ['ANON_KEY', 'SERVICE_ROLE_KEY', 'JWT_KEYS', 'JWT_JWKS', 'JWT_SECRET'];
const keyProbes = ['live check anon-key-reads-settings', 'live check service-key-is-admin', 'live check service-key-reads-rest'];
const addressCodes = ['URL_NOT_HTTPS', 'URL_SCHEMES_MIXED'];

/** The command, or undefined where a person has to do it by hand. */
export function commandFor({ code, at, severity, current }: Finding, target: string): string | undefined {
  const bad = severity === 'critical' || severity === 'error' || code === 'KEY_EXPIRES_SOON';
  const atKeys = keyPlaces.includes(at) && bad && code !== 'VARIABLE_TWICE';
  const refusedKey = keyProbes.includes(at) && (code === 'LIVE_SIGNATURE' || code === 'LIVE_GATEWAY') && current !== 'side: upstream';
  if (atKeys || refusedKey) return `capstan run repair-keys --set target=${target}`;
  if (addressCodes.includes(code)) return `capstan run update-env --set target=${target} --set https=true`;
  return undefined;
}

/** The finding with the command before what can be done by hand. */
export function withCommand(finding: Finding, target: string): Finding {
  const command = commandFor(finding, target);
  return command === undefined ? finding : { ...finding, fix: `Run: ${command}. By hand: ${finding.fix}` };
}
