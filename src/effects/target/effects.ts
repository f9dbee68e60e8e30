/** The handover: the instance becomes a target of its owner. Pure but for one staged row. */
import { registerTarget as contract } from '../../../machines/effects/target.ts';
import { defineHandler } from '../handler.ts';

export function createTargetHandlers() {
  return {
    'target.register@1': defineHandler(contract, {
      async run(ctx, input) {
        const { dokploy, name, environment, projectId, environmentId, composeId, appName, references, ...facts } = input;
        const secrets = Object.fromEntries(Object.entries(references).map(([variable, reference]) => [toCamelCase(variable), reference]));
        const urls = urlsOf(input.url);
        const strings = connectionStrings(references.POSTGRES_PASSWORD, input.poolerTenantId);
        ctx.saveTarget({
          name,
          kind: 'dokploy',
          tags: [environment],
          url: input.url,
          dokploy: { name: dokploy, projectId, environmentId, composeId, appName },
          secrets,
          facts: { ...facts, urls, connectionStrings: strings },
        });
        return { target: name, urls, secrets, connectionStrings: strings, nextSteps: nextSteps(name, input.warnings) };
      },
    }),
  };
}

/** `SERVICE_ROLE_KEY` to `serviceRoleKey`. */
export function toCamelCase(variable: string): string {
  return variable.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function urlsOf(url: string): Record<string, string> {
  return {
    api: url,
    studio: url,
    auth: `${url}/auth/v1`,
    rest: `${url}/rest/v1`,
    storage: `${url}/storage/v1`,
    functions: `${url}/functions/v1`,
    realtime: `${url.replace(/^http/, 'ws')}/realtime/v1`,
    sql: `${url}/pg/query`,
  };
}

/** The template publishes no database port: all three are for containers of the same network (facts: supabase §3). */
function connectionStrings(password: string | undefined, tenant: string): { name: string; value: string; reachableFrom: string }[] {
  const slot = `{{${password ?? 'POSTGRES_PASSWORD'}}}`;
  const reachableFrom = 'containers in the network of this service';
  return [
    { name: 'direct', value: `postgresql://postgres:${slot}@db:5432/postgres`, reachableFrom },
    { name: 'pooler-session', value: `postgresql://postgres.${tenant}:${slot}@supavisor:5432/postgres`, reachableFrom },
    { name: 'pooler-transaction', value: `postgresql://postgres.${tenant}:${slot}@supavisor:6543/postgres`, reachableFrom },
  ];
}

function nextSteps(name: string, warnings: readonly { code: string }[]): string[] {
  const has = (code: string) => warnings.some((warning) => warning.code === code);
  return [
    `Show the secrets to the owner at a terminal: capstan secrets show ${name}.`,
    ...(has('SMTP_SKIPPED') ? ['Set a mail server before you let users sign up by mail.'] : []),
    ...(has('CERTIFICATE_MISSING') ? ['Get a trusted certificate, then check the keys: they were not proven by live requests.'] : []),
    ...(has('VERIFICATION_FAILED') ? ['Find out why live checks failed; the output names them.'] : []),
    'Make a first backup before real data comes in.',
  ];
}
