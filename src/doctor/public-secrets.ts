/** Values that stand in public repositories: old Dokploy templates, Supabase's .env.example, its CLI. Whoever reads them can open the door. */

/** Claims issuer of Supabase's published sample keys. */
export const demoIssuer = 'supabase-demo';

const jwtSecrets = [
  'your-super-secret-jwt-token-with-at-least-32-characters-long',
  'super-secret-jwt-token-with-at-least-32-characters-long',
  'your-jwt-secret',
];
const passwords = ['your-super-secret-and-long-postgres-password', 'postgres', 'password', 'supabase', 'example'];
const logflare = [
  'your-super-secret-and-long-logflare-key',
  'your-super-secret-and-long-logflare-key-public',
  'your-super-secret-and-long-logflare-key-private',
];

/** Variable to the values that are no secret any more. */
export const publicSecrets: Readonly<Record<string, readonly string[]>> = {
  JWT_SECRET: jwtSecrets,
  POSTGRES_PASSWORD: passwords,
  DASHBOARD_PASSWORD: ['this_password_is_insecure_and_should_be_updated', 'this_password_is_insecure_and_must_be_changed', ...passwords],
  SECRET_KEY_BASE: ['UpNVntn3cDxHJpq99YMc1T1AQgQpc8kfYTuRgBiYa15BLrx8etQoXz3gZv1/u2oq'],
  VAULT_ENC_KEY: ['your-encryption-key-32-chars-min', 'your-32-character-encryption-key'],
  PG_META_CRYPTO_KEY: ['SAMPLE_KEY', 'your-encryption-key-32-chars-min', 'your-encryption-key'],
  LOGFLARE_API_KEY: logflare,
  LOGFLARE_LOGGER_BACKEND_API_KEY: logflare,
  LOGFLARE_PUBLIC_ACCESS_TOKEN: logflare,
  LOGFLARE_PRIVATE_ACCESS_TOKEN: logflare,
  S3_PROTOCOL_ACCESS_KEY_ID: ['625729a08b95bf1b7ff351a663f3a23c'],
  S3_PROTOCOL_ACCESS_KEY_SECRET: ['850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907'],
  MINIO_ROOT_PASSWORD: ['secret1234', 'supa-storage-secret'],
};

/** True for a value of a variable that everybody can look up. */
export function isPublicSecret(variable: string, value: string): boolean {
  return publicSecrets[variable]?.includes(value) ?? false;
}
