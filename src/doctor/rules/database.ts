/** The database: how it is reached inside the stack, and values that it took at its first start only. */
import { docs, type Finding } from '../findings.ts';
import { atVariable, type Look, type Rule, setVariable } from '../look.ts';

export const databaseRules: readonly Rule[] = [place, passwordChanged, jwtSecretStored];

/** Services reach the database by these inside their network; the host's own ports and names do not work there. */
const fixed: Readonly<Record<string, string>> = { POSTGRES_HOST: 'db', POSTGRES_PORT: '5432', POSTGRES_DB: 'postgres' };

function place(look: Look): Finding[] {
  return Object.entries(fixed).flatMap(([name, expected]) => {
    const value = look.env.get(name);
    if (value === undefined || value === expected) return [];
    const wrong =
      (name === 'POSTGRES_HOST' && /^(localhost|127\.|::1|0\.0\.0\.0)/.test(value)) ||
      (name === 'POSTGRES_PORT' && !/^\d{1,5}$/.test(value));
    const say = wrong
      ? `${name} cannot be reached from the other containers: each of them is its own localhost, and the port stands in their URLs.`
      : `${name} differs from the template’s: every service builds its connection from it.`;
    return [
      atVariable(look, name, {
        code: wrong ? 'DATABASE_PLACE' : 'DATABASE_PLACE_DIFFERS',
        severity: wrong ? 'error' : 'warning',
        say,
        expected,
        fix: setVariable(name, expected),
        docs: docs.database,
      }),
    ];
  });
}

function passwordChanged(look: Look): Finding[] {
  const { passwordRefusedBy: refusedBy, changedSince } = look.facts;
  const refused = refusedBy !== null && refusedBy.length > 0;
  if (!refused && !changedSince?.includes('POSTGRES_PASSWORD')) return [];
  const fix =
    'Set POSTGRES_PASSWORD back to the value of the first start and deploy again; to change it, change the roles postgres, supabase_admin, authenticator, pgbouncer, supabase_auth_admin, supabase_functions_admin and supabase_storage_admin first. Do not delete volumes/db/data: it holds the data.';
  return [
    atVariable(look, 'POSTGRES_PASSWORD', {
      code: 'POSTGRES_PASSWORD_CHANGED',
      severity: 'critical',
      say: refused
        ? `The database refuses the password of ${(refusedBy ?? []).join(', ')}: it took POSTGRES_PASSWORD at its first start only.`
        : 'POSTGRES_PASSWORD is not the one that was handed over; the database took it at its first start only, so the services are locked out at their next connection.',
      expected: 'The password that the database roles have',
      fix,
      docs: docs.database,
    }),
  ];
}

/** jwt.sql writes it at the first start; functions inside the database go on using it. */
function jwtSecretStored(look: Look): Finding[] {
  if (look.facts.jwtSecretInDatabase !== false) return [];
  return [
    atVariable(look, 'JWT_SECRET', {
      code: 'JWT_SECRET_STORED_DIFFERS',
      severity: 'warning',
      say: 'The database keeps another JWT secret (app.settings.jwt_secret) than the environment.',
      expected: 'The same secret in both',
      fix: 'Run as a superuser: ALTER DATABASE postgres SET "app.settings.jwt_secret" TO the JWT_SECRET of the environment.',
      docs: docs.database,
    }),
  ];
}
