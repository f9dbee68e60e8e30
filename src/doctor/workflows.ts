/** Which workflow carries out the fix of a finding, where the instance is a target. Pure. */
import type { Finding } from './findings.ts';

const keyPlaces = ['ANON_KEY', 'SERVICE_ROLE_KEY', 'JWT_KEYS', 'JWT_JWKS', 'JWT_SECRET'];
const keyProbes = ['live check anon-key-reads-settings', 'live check service-key-is-admin', 'live check service-key-reads-rest'];
/** Inputs of resize-pool by variable, with the template's value where the present one is none. */
const poolSizes: Readonly<Record<string, { input: string; usual: number }>> = {
  POOLER_DEFAULT_POOL_SIZE: { input: 'poolSize', usual: 20 },
  POOLER_MAX_CLIENT_CONN: { input: 'maxClients', usual: 100 },
};
const addressCodes = ['URL_NOT_HTTPS', 'URL_SCHEMES_MIXED'];

/** The command, or undefined where a person has to do it by hand. */
export function commandFor({ code, at, severity, current }: Finding, target: string): string | undefined {
  const bad = severity === 'critical' || severity === 'error' || code === 'KEY_EXPIRES_SOON';
  const atKeys = keyPlaces.includes(at) && bad && code !== 'VARIABLE_TWICE';
  const refusedKey = keyProbes.includes(at) && (code === 'LIVE_SIGNATURE' || code === 'LIVE_GATEWAY') && current !== 'side: upstream';
  if (atKeys || refusedKey) return `capstan run repair-keys --set target=${target}`;
  const size = poolSizes[at];
  if (size !== undefined && code.startsWith('POOLER_SETTING_'))
    return `capstan run resize-pool --set target=${target} --set ${size.input}=${/^[1-9]\d{0,5}$/.test(current) ? current : size.usual}`;
  if (addressCodes.includes(code)) return `capstan run update-env --set target=${target} --set https=true`;
  return undefined;
}

/** The finding with the command before what can be done by hand. */
export function withCommand(finding: Finding, target: string): Finding {
  const command = commandFor(finding, target);
  return command === undefined ? finding : { ...finding, fix: `Run: ${command}. By hand: ${finding.fix}` };
}
