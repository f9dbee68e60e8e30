/**
 * The secrets of a new instance, from the system's random source. Invariants:
 * 1. Only letters and digits: POSTGRES_PASSWORD stands raw inside connection URLs, and Dokploy before 0.30 lets compose interpolate `$`.
 * 2. Every value has the length that its reader demands (VAULT_ENC_KEY exactly 32, SECRET_KEY_BASE at least 64, JWT_SECRET at least 32).
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';

const lower = 'abcdefghijklmnopqrstuvwxyz0123456789';
const mixed = `${lower}ABCDEFGHIJKLMNOPQRSTUVWXYZ`;

/** Environment variable to how its value is made; ANON_KEY and SERVICE_ROLE_KEY follow from JWT_SECRET (keys.ts). */
const recipes = {
  POSTGRES_PASSWORD: () => randomText(lower, 32),
  JWT_SECRET: () => randomText(mixed, 40),
  DASHBOARD_PASSWORD: () => withLetter(32),
  SECRET_KEY_BASE: () => randomText(lower, 64),
  VAULT_ENC_KEY: () => randomText(lower, 32),
  PG_META_CRYPTO_KEY: () => randomText(lower, 32),
  LOGFLARE_PUBLIC_ACCESS_TOKEN: () => randomText(lower, 32),
  LOGFLARE_PRIVATE_ACCESS_TOKEN: () => randomText(lower, 32),
  S3_PROTOCOL_ACCESS_KEY_ID: () => randomBytes(16).toString('hex'),
  S3_PROTOCOL_ACCESS_KEY_SECRET: () => randomBytes(32).toString('hex'),
} as const satisfies Record<string, () => string>;

export type GeneratedName = keyof typeof recipes;

/** All variables whose value is a secret of ours, the two keys included. */
export const secretVariables: readonly string[] = [...Object.keys(recipes), 'ANON_KEY', 'SERVICE_ROLE_KEY'];

/** One fresh value for each. */
export function generateSecrets(): Record<GeneratedName, string> {
  // The keys are those of `recipes`; Object.fromEntries forgets that.
  return Object.fromEntries(Object.entries(recipes).map(([name, make]) => [name, make()])) as Record<GeneratedName, string>;
}

/** Supavisor's tenant, part of the pooler's user names; not a secret. */
export function generateTenantId(): string {
  return randomUUID();
}

/** Evenly distributed: randomInt rejects instead of folding. */
function randomText(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join('');
}

/** A password of digits alone would be read as a YAML number and stop the gateway. */
function withLetter(length: number): string {
  return randomText(lower.slice(0, 26), 1) + randomText(lower, length - 1);
}
