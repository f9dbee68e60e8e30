/** The instances that a sandbox can have from its start, each in a state in which people find theirs. */
import { randomBytes } from 'node:crypto';
import type { ExpandedTemplate } from '../template-expand.ts';
import { changed, expandCurrent, generationA, generationB, generationC, signToken } from './environments.ts';
import { oldCompose, oldKong } from './old-compose.ts';

export type Route = { https: boolean; certificateType: 'letsencrypt' | 'none' };

export type Instance = {
  compose: string;
  /** Deployed at the first start. */
  env: string;
  /** Written afterwards, and deployed as well or only stored. */
  later?: { env: string; deployed: boolean };
  mounts: ExpandedTemplate['mounts'];
  route: Route;
};

export type Blueprint = { toml: string; compose: string };
type Recipe = { say: string; make(blueprint: Blueprint, host: string): Instance };

const served: Route = { https: true, certificateType: 'letsencrypt' };

function current({ toml, compose }: Blueprint, host: string, change: (env: string) => string = (env) => env): Instance {
  const expanded = expandCurrent(toml, 'supabase');
  return {
    // With the tenant that the gateway calls: the template's own defect is an instance of its own.
    compose: compose.replace('SEED_SELF_HOST: "true"', 'SEED_SELF_HOST: "true"\n      SELF_HOST_TENANT_NAME: realtime'),
    env: change(generationC(expanded, host)),
    mounts: expanded.mounts,
    route: served,
  };
}

function old({ toml, compose }: Blueprint, env: string): Instance {
  const mounts = expandCurrent(toml, 'supabase').mounts.map((mount) => ({ ...mount, content: oldKong(mount.content) }));
  return { compose: oldCompose(compose), env, mounts, route: served };
}

/** Changed by its owner after the first start. */
function after(instance: Instance, change: (env: string) => string, deployed: boolean): Instance {
  return { ...instance, later: { env: change(instance.env), deployed } };
}

const asHttp = (env: string) => env.replaceAll('https://', 'http://').replace('http://app.', 'https://app.');
const secretOf = (env: string) => /^JWT_SECRET=(.*)$/m.exec(env)?.[1] ?? '';
const octOf = (secret: string) => ({ kty: 'oct', k: Buffer.from(secret).toString('base64url'), alg: 'HS256' });

const recipes = {
  'gen-a': {
    say: 'the template before Dokploy 0.22.5: public secret, public sample keys',
    make: (blueprint, host) => old(blueprint, generationA(host)),
  },
  'gen-b': {
    say: 'the template of May to October 2025: both keys are the same, without a role',
    make: (blueprint, host) => old(blueprint, generationB(false, host)),
  },
  'gen-b-split-second': {
    say: 'the same, but a second lay between the two keys, so that they differ in iat',
    make: (blueprint, host) => old(blueprint, generationB(true, host)),
  },
  'gen-c': { say: 'the current template with host, https and mail server: healthy', make: current },
  'http-urls': { say: 'healthy, but its addresses say http', make: (blueprint, host) => current(blueprint, host, asHttp) },
  'http-route': {
    say: 'as the template is made: addresses say https, the route serves http only',
    make: (blueprint, host) => ({ ...current(blueprint, host), route: { https: false, certificateType: 'none' } }),
  },
  'bad-smtp': {
    say: 'healthy, but with the placeholders of the mail server',
    make: (blueprint, host) =>
      current(blueprint, host, (env) =>
        changed(env, {
          SMTP_ADMIN_EMAIL: 'admin@example.com',
          SMTP_HOST: 'supabase-mail',
          SMTP_PORT: '2500',
          SMTP_USER: 'fake_mail_user',
          SMTP_PASS: 'fake_mail_password',
          SMTP_SENDER_NAME: 'fake_sender',
        }),
      ),
  },
  'changed-password': {
    say: 'POSTGRES_PASSWORD was changed after the first start and deployed: every service is locked out',
    make: (blueprint, host) =>
      after(current(blueprint, host), (env) => changed(env, { POSTGRES_PASSWORD: randomBytes(16).toString('hex') }), true),
  },
  'old-pooler': {
    say: 'the pooler’s tenant has the placeholder name, and its size was changed where nobody reads it',
    make: (blueprint, host) =>
      after(
        current(blueprint, host, (env) => changed(env, { POOLER_TENANT_ID: 'your-tenant-id' })),
        (env) => changed(env, { POOLER_DEFAULT_POOL_SIZE: '40' }),
        true,
      ),
  },
  'changed-secret': {
    say: 'JWT_SECRET was changed after the first start and deployed; the keys and the database have the old one',
    make: (blueprint, host) =>
      after(current(blueprint, host), (env) => changed(env, { JWT_SECRET: randomBytes(20).toString('hex') }), true),
  },
  'not-deployed': {
    say: 'right keys were written over broken ones, but never deployed',
    make(blueprint, host) {
      const right = current(blueprint, host);
      const secret = secretOf(right.env);
      const key = signToken({ iat: 1_761_309_376, exp: 1_893_456_000, iss: 'dokploy' }, secret);
      return { ...right, env: changed(right.env, { ANON_KEY: key, SERVICE_ROLE_KEY: key }), later: { env: right.env, deployed: false } };
    },
  },
  'stale-jwks': {
    say: 'JWT_KEYS and JWT_JWKS embed an older JWT secret',
    make: (blueprint, host) =>
      current(blueprint, host, (env) => {
        const stale = octOf(randomBytes(20).toString('hex'));
        return changed(env, { JWT_KEYS: JSON.stringify([stale]), JWT_JWKS: JSON.stringify({ keys: [stale] }) });
      }),
  },
  'realtime-tenant': {
    say: 'the current template untouched: the gateway calls Realtime by a tenant that is not there',
    make: (blueprint, host) => ({ ...current(blueprint, host), compose: blueprint.compose }),
  },
  crlf: {
    say: 'healthy, its environment written by a Windows editor: CRLF, no line end at the end',
    make: (blueprint, host) => current(blueprint, host, (env) => `# notes\n\n${env}`.trimEnd().replaceAll('\n', '\r\n')),
  },
} as const satisfies Record<string, Recipe>;

export type InstanceName = keyof typeof recipes;

/** Every instance by name, with one line on what it is. */
export const instances: Readonly<Record<InstanceName, Recipe>> = recipes;

export function isInstanceName(name: string): name is InstanceName {
  return Object.hasOwn(recipes, name);
}
