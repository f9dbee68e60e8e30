/** Which workflow carries out the fix of a finding, where the instance is a target. Pure. */
import type { Finding } from './findings.ts';

const keyPlaces = ['ANON_KEY', 'SERVICE_ROLE_KEY', 'JWT_KEYS', 'JWT_JWKS', 'JWT_SECRET'];
const keyProbes = ['live check anon-key-reads-settings', 'live check service-key-is-admin', 'live check service-key-reads-rest'];
/** Codes that a new password mends, also where the roles keep another than the environment. */
const passwordCodes = [
  'POSTGRES_PASSWORD_CHANGED',
  'POSTGRES_PASSWORD_SHORT',
  'PASSWORD_BREAKS_URL',
  'SECRET_PUBLIC',
  'SECRET_REUSED',
  'SECRET_STRAY_CHARACTERS',
];

/** Encryption keys that rotate-secrets replaces with all that is sealed with them. */
const publicKeys: Readonly<Record<string, string>> = { VAULT_ENC_KEY: 'vault-key', PG_META_CRYPTO_KEY: 'meta-key' };

/** What manage-domain changes at a route, by finding. */
const domainChanges: Readonly<Record<string, string>> = {
  DOMAIN_HTTP: '--set certificate=letsencrypt',
  DOMAIN_WITHOUT_CERTIFICATE: '--set certificate=letsencrypt',
  DOMAIN_PORT: '--set toGateway=true',
  DOMAIN_SERVICE: '--set toGateway=true',
  DOMAIN_SERVICE_UNKNOWN: '--set toGateway=true',
};

/** Of a host that can be typed as it stands. */
function domainCommand({ code, at, fix }: Pick<Finding, 'code' | 'at' | 'fix'>, target: string): string | undefined {
  const missing = code === 'DOMAIN_MISSING' ? /^Add the domain ([a-z0-9][a-z0-9.-]*) to/.exec(fix)?.[1] : undefined;
  if (missing !== undefined) return `capstan run manage-domain --set target=${target} --set action=add --set host=${missing}`;
  const [, host] = /^domain ([a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/.exec(at) ?? [];
  const change = domainChanges[code];
  if (host === undefined || change === undefined) return undefined;
  return `capstan run manage-domain --set target=${target} --set action=change --set host=${host} ${change}`;
}

/** Inputs of resize-pool by variable, with the template's value where the present one is none. */
const poolSizes: Readonly<Record<string, { input: string; usual: number }>> = {
  POOLER_DEFAULT_POOL_SIZE: { input: 'poolSize', usual: 20 },
  POOLER_MAX_CLIENT_CONN: { input: 'maxClients', usual: 100 },
};
const addressCodes = ['URL_NOT_HTTPS', 'URL_SCHEMES_MIXED'];

/** The command, or undefined where a person has to do it by hand. */
export function commandFor({ code, at, severity, current, fix }: Finding, target: string): string | undefined {
  const bad = severity === 'critical' || severity === 'error' || code === 'KEY_EXPIRES_SOON';
  const atKeys = keyPlaces.includes(at) && bad && code !== 'VARIABLE_TWICE';
  const refusedKey = keyProbes.includes(at) && (code === 'LIVE_SIGNATURE' || code === 'LIVE_GATEWAY') && current !== 'side: upstream';
  if (atKeys || refusedKey) return `capstan run repair-keys --set target=${target}`;
  if (at === 'POSTGRES_PASSWORD' && passwordCodes.includes(code))
    return `capstan run rotate-secrets --set target=${target} --set secret=database-password`;
  const key = code === 'SECRET_PUBLIC' ? publicKeys[at] : undefined;
  if (key !== undefined) return `capstan run rotate-secrets --set target=${target} --set secret=${key}`;
  if (code === 'BRIDGE_LEFT_OVER') return `capstan run remove-bridge --set target=${target}`;
  const domain = domainCommand({ code, at, fix }, target);
  if (domain !== undefined) return domain;
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
