/** The worker as a service: what docker/ holds fits the product as it is. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageFile } from '../../src/package-root.ts';
import { capstan } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';

const unitFile = packageFile('docker', 'capstan-worker.service');
const unit = readFileSync(unitFile, 'utf8');
const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
const dockerfile = readFileSync(packageFile('docker', 'worker.Dockerfile'), 'utf8');

test('the unit starts a command that exists, in a home that systemd makes with the mode we ask for', async () => {
  const [, program, ...args] = setting('ExecStart').split(' ');
  expect(program).toBe('capstan');
  const place = temporaryHome();
  try {
    expect((await capstan(place.home, [...args, '--help'])).stdout).toContain('--workflows');
  } finally {
    place.remove();
  }
  expect(setting('Environment')).toBe(`CAPSTAN_HOME=/var/lib/${setting('StateDirectory')}`);
  expect(setting('StateDirectoryMode')).toBe('0700');
});

test.skipIf(spawnSync('systemd-analyze', ['--version']).error !== undefined)('systemd takes the unit', () => {
  expect(() => execFileSync('systemd-analyze', ['verify', unitFile], { stdio: 'pipe' })).not.toThrow();
});

test('the image copies what is there, and everything that runs reads at run time', () => {
  for (const [, from = ''] of dockerfile.matchAll(/^COPY (?!--from)((?:\S+ )+)\S+$/gm))
    for (const path of from.trim().split(' ')) expect(existsSync(packageFile(path)), path).toBe(true);
  const { files } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { files: string[] };
  expect(files).toContain('src/store/sqlite/migrations');
  expect(dockerfile).toContain('COPY --from=build /build/src/store/sqlite/migrations src/store/sqlite/migrations');
});

test('compose builds that image and keeps the home in a volume', () => {
  const { services, volumes } = parse(readFileSync(packageFile('docker', 'worker.compose.yaml'), 'utf8'));
  expect(services.worker.build.dockerfile).toBe('docker/worker.Dockerfile');
  expect(services.worker.command).toEqual(['worker']);
  const [name, path] = services.worker.volumes[0].split(':');
  expect(Object.keys(volumes)).toEqual([name]);
  expect(dockerfile).toContain(`CAPSTAN_HOME=${path}`);
});
