import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { isSecretVariable } from '../../src/masking.ts';
import { generationA, generationB } from '../../src/sandbox/instances/environments.ts';
import { composeText, healthyDomain, healthyEnv } from '../doctor/instances.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';

let place: ReturnType<typeof temporaryHome>;
let beside: ReturnType<typeof temporaryHome>;
beforeEach(() => {
  place = temporaryHome();
  beside = temporaryHome();
});
afterEach(() => {
  place.remove();
  beside.remove();
});

function file(name: string, text: string): string {
  const path = join(beside.home, name);
  writeFileSync(path, text);
  return path;
}
const run = (...args: string[]) => capstan(place.home, ['doctor', ...args]);

test('a healthy instance by its three files: no error, exit 0, and it says what nobody looked at', async () => {
  const files = [
    '--env-file',
    file('h.env', healthyEnv),
    '--compose',
    file('c.yml', composeText),
    '--domains',
    file('d.json', JSON.stringify([healthyDomain])),
  ];
  const ended = await run(...files);
  expect(ended).toMatchObject({ exit: 0, stderr: '' });
  expect(ended.stdout).toMatch(/^\d+ findings, 0 critical, no error\./);
  expect(ended.stdout).toContain('Not looked at, so not known to be right: containers, certificate, live checks.');
});

test.each([
  ['A', generationA(), 'KEY_PUBLIC'],
  ['B', generationB(), 'KEYS_IDENTICAL'],
])('generation %s ends with 1, names itself and a fix for each finding, and shows no secret', async (id, env, code) => {
  const path = file('x.env', env);
  const text = await run('--env-file', path);
  const asJson = await run('--env-file', path, '--json');
  expect([text.exit, asJson.exit]).toEqual([1, 1]);
  expect(text.stdout).toMatch(/^\d+ findings, \d+ critical, \d+ errors: /);
  expect(text.stdout).toContain(`Dokploy template ${id}`);
  const { findings, counts } = jsonOf(asJson);
  expect(findings).toEqual(
    expect.arrayContaining([expect.objectContaining({ code, severity: 'critical', fix: expect.stringMatching(/\.$/) })]),
  );
  expect(text.stdout.match(/^ {2}fix: /gm)).toHaveLength(Array.isArray(findings) ? findings.length : -1);
  expect(counts).toMatchObject({ critical: expect.any(Number) });
  for (const [name, value] of envVariables(parseEnv(env)))
    if (isSecretVariable(name)) expect(text.stdout + asJson.stdout + text.stderr, name).not.toContain(value);
});

test.each([
  [[], 'either --target or --env'],
  [['--target', 'x', '--env', 'y'], 'either --target or --env'],
  [['--target', 'x', '--compose', 'y'], 'belong to --env'],
])('wrong usage %j is refused', async (args, say) => {
  const ended = await run(...args);
  expect(ended).toMatchObject({ exit: 2, stdout: '' });
  expect(ended.stderr).toContain(say);
});

test('a file that is not there, rubbish for domains and an unknown target are errors with a next step', async () => {
  const env = file('h.env', healthyEnv);
  expect((await run('--env', `${env}.not`)).stderr).toContain('FILE_UNREADABLE');
  expect((await run('--env-file', env, '--domains', file('d.json', '{"host":1}'))).stderr).toContain('DOMAINS_UNREADABLE');
  const unknown = await run('--target', 'nobody');
  expect(unknown).toMatchObject({ exit: 1, stdout: '' });
  expect(unknown.stderr).toContain('TARGET_UNKNOWN');
});

test('nothing in a file of others is obeyed: its NODE_OPTIONS loads nothing with --env', async () => {
  const trap = file('trap.cjs', 'process.stdout.write("obeyed")');
  const ended = await run('--env', file('t.env', `NODE_OPTIONS=--require=${trap}\n${healthyEnv}`));
  expect(ended.exit).toBe(0);
  expect(ended.stdout).not.toContain('obeyed');
  expect(ended.stdout).toContain('NODE_OPTIONS');
});

test('binary rubbish as environment is critical', async () => {
  const path = file('b.env', '\0\u0001\u0002PK\u0003\u0004');
  const ended = await run('--env', path, '--json');
  expect(ended.exit).toBe(1);
  expect(jsonOf(ended)['findings']).toEqual(
    expect.arrayContaining([expect.objectContaining({ code: 'ENVIRONMENT_UNREADABLE', severity: 'critical' })]),
  );
});
