import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readComposeFacts, readPostgresImage, realtimeHostOf } from '../../src/effects/supabase/compose-facts.ts';
import { patchCompose } from '../../src/effects/supabase/compose-patch.ts';

const compose = `# head comment
x-restart: &restart
  restart: unless-stopped

services:
  realtime:
    <<: *restart
    image: supabase/realtime:v2.102.3
    healthcheck:
      test: ["CMD-SHELL", "curl http://localhost:4000/api/tenants/realtime-dev/health"]
    environment:
      PORT: 4000
      SEED_SELF_HOST: "true" # seeds the tenant
  # the database
  db:
    image: supabase/postgres:17.6.1.136
    command:
      [
        "postgres",
        "-c",
        "log_min_messages=fatal", # keeps polling out of the log
      ]
`;
const wishes = { realtimeHost: 'realtime', maxConnections: 150 };
const comments = (text: string) => [...text.matchAll(/#\s*(.+)$/gm)].map((match) => match[1]);

describe('compose patches', () => {
  it('sets the tenant in map form, in the health check too, and max_connections in list form, keeping every comment', () => {
    const { text, patched, warnings } = patchCompose(compose, wishes);
    expect(warnings).toEqual([]);
    expect(patched).toEqual([
      'realtime.environment.SELF_HOST_TENANT_NAME=realtime',
      'realtime.healthcheck asks for the tenant realtime',
      'db.command max_connections=150',
    ]);
    expect(comments(text)).toEqual(comments(compose));
    const expected = parse(compose, { merge: true });
    expected.services.realtime.environment.SELF_HOST_TENANT_NAME = 'realtime';
    expected.services.realtime.healthcheck.test[1] = 'curl http://localhost:4000/api/tenants/realtime/health';
    expected.services.db.command.push('-c', 'max_connections=150');
    expect(parse(text, { merge: true })).toEqual(expected);
  });

  it('changes nothing the second time', () => {
    const once = patchCompose(compose, wishes).text;
    const twice = patchCompose(once, wishes);
    expect(twice.text).toBe(once);
    expect(twice.patched).toEqual([]);
  });

  it.each([
    [
      'the gateway uses the seeded name',
      compose,
      { ...wishes, realtimeHost: 'realtime-dev.supabase-realtime' },
      [],
      ['db.command max_connections=150'],
    ],
    ['the list form of environment', compose.replace(/environment:\n.*\n.*\n/, 'environment:\n      - PORT=4000\n'), wishes, [], undefined],
    ['an unknown gateway host', compose, { ...wishes, realtimeHost: null }, ['REALTIME_HOST_UNKNOWN'], ['db.command max_connections=150']],
    [
      'an alias as environment',
      compose.replace(/environment:\n.*\n.*\n/, 'environment: *restart\n'),
      wishes,
      ['REALTIME_ENVIRONMENT_SHAPE'],
      ['db.command max_connections=150'],
    ],
    [
      'another tenant name set already',
      compose.replace('PORT: 4000', 'SELF_HOST_TENANT_NAME: mine'),
      wishes,
      ['REALTIME_TENANT_DIFFERS'],
      ['db.command max_connections=150'],
    ],
    ['no command at all', compose.replace(/ {4}command:[\s\S]*$/, ''), wishes, ['DB_COMMAND_SHAPE'], undefined],
    ['no realtime service', compose.replace('  realtime:', '  other:'), wishes, [], ['db.command max_connections=150']],
  ])('says what it did with %s', (_, text, wish, warnings, patched) => {
    const result = patchCompose(text, wish);
    expect(result.warnings.map((warning) => warning.code)).toEqual(warnings);
    if (patched) expect(result.patched).toEqual(patched);
  });

  it('writes the tenant into the list form', () => {
    const { text } = patchCompose(compose.replace(/environment:\n.*\n.*\n/, 'environment:\n      - PORT=4000\n'), wishes);
    expect(parse(text, { merge: true }).services.realtime.environment).toEqual(['PORT=4000', 'SELF_HOST_TENANT_NAME=realtime']);
  });

  it.each([
    ['command: postgres -c a=b', 'postgres -c a=b -c max_connections=150'],
    ['command: postgres -c max_connections=20 -c a=b', 'postgres -c max_connections=150 -c a=b'],
    ['command: ["postgres", "-c", "max_connections=20"]', ['postgres', '-c', 'max_connections=150']],
    ['command: ["postgres", "-cmax_connections=20"]', ['postgres', '-cmax_connections=150']],
  ])('patches %j', (command, expected) => {
    const { text } = patchCompose(`services:\n  db:\n    ${command}\n`, wishes);
    expect(parse(text).services.db.command).toEqual(expected);
  });

  it('refuses what is no compose file', () => {
    expect(() => patchCompose('<html>', wishes)).toThrow(expect.objectContaining({ code: 'TEMPLATE_COMPOSE_INVALID' }));
    expect(() => patchCompose('services: {a: [', wishes)).toThrow(expect.objectContaining({ code: 'TEMPLATE_COMPOSE_INVALID' }));
  });
});

describe('compose facts', () => {
  it('reads services, their health checks and the Postgres image', () => {
    expect(readComposeFacts(compose)).toEqual({
      services: [
        { name: 'realtime', healthcheck: true },
        { name: 'db', healthcheck: false },
      ],
      postgres: { image: 'supabase/postgres:17.6.1.136', tag: '17.6.1.136', major: 17 },
    });
    expect(readComposeFacts('<html>')).toEqual({ services: [], postgres: null });
  });

  it.each([
    ['supabase/postgres:15.8.1.085', 15],
    ['registry:5000/supabase/postgres:17', 17],
    ['supabase/postgres@sha256:abc', null],
    ['supabase/postgres:latest', null],
  ])('reads the major of %s', (image, major) => {
    expect(readPostgresImage(image).major).toBe(major);
  });

  it.each([
    ['      url: http://realtime:4000/socket\n', 'realtime'],
    ['url: "http://realtime-dev.supabase-realtime:4000/socket"', 'realtime-dev.supabase-realtime'],
    ['url: http://rest:3000/', null],
  ])('finds the host of realtime in %j', (kong, host) => {
    expect(realtimeHostOf(kong)).toBe(host);
  });
});
