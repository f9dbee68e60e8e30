import { describe, expect, it } from 'vitest';
import {
  type Capability,
  capabilitiesOf,
  isAtLeast,
  parseVersion,
  requireSupported,
  type Version,
} from '../../src/effects/dokploy/versions.ts';

function version(text: string): Version {
  const parsed = parseVersion(text);
  if (!parsed) throw new Error(`${text} is no version`);
  return parsed;
}

describe('Dokploy versions', () => {
  it.each([
    ['v0.30.2', [0, 30, 2]],
    ['0.29.5', [0, 29, 5]],
    [' v1.0.0-canary.3\n', [1, 0, 0]],
  ])('reads %s', (text, [major, minor, patch]) => {
    expect(parseVersion(text)).toMatchObject({ major, minor, patch });
  });

  it.each(['', 'canary', 'v0.30', '0.30.2.1.', 'v0.30.2; rm -rf', '99999.0.0'])('reads no version in %j', (text) => {
    expect(parseVersion(text)).toBeNull();
  });

  it.each([
    ['0.29.5', '0.29.5', true],
    ['0.29.4', '0.29.5', false],
    ['0.30.0', '0.29.14', true],
    ['0.9.99', '0.29.5', false],
    ['1.0.0', '0.29.5', true],
  ])('%s is at least %s: %s', (text, floor, verdict) => {
    expect(isAtLeast(version(text), floor)).toBe(verdict);
  });

  it.each<[string, Capability[]]>([
    ['0.24.9', []],
    ['0.28.3', ['environments', 'cancelledStatus', 'deployAnswersObject', 'webServerSettings', 'queueList']],
    ['0.29.5', ['saveEnvironment', 'composeLogs', 'infrastructureHealth', 'deploymentLogs', 'previewTemplate']],
    ['0.29.14', ['environmentEncrypted', 'scheduleResult']],
    ['0.30.0', ['createSourceType', 'environmentEscaped', 'toggleDomain', 'serverHealth']],
  ])('%s can, among others, %j', (text, names) => {
    const flags = capabilitiesOf(version(text));
    for (const name of names) expect(flags[name], name).toBe(true);
  });

  it.each<[string, Capability]>([
    ['0.24.9', 'environments'],
    ['0.28.2', 'queueList'],
    ['0.28.9', 'saveEnvironment'],
    ['0.29.4', 'previewTemplate'],
    ['0.29.13', 'scheduleResult'],
    ['0.29.14', 'createSourceType'],
  ])('%s cannot %s', (text, name) => {
    expect(capabilitiesOf(version(text))[name]).toBe(false);
  });

  it('refuses an old version by name, with the floor', () => {
    expect(() => requireSupported('v0.24.0', 'lab')).toThrow(
      expect.objectContaining({ code: 'DOKPLOY_TOO_OLD', message: expect.stringMatching(/"lab" is v0\.24\.0.*0\.29\.5/) }),
    );
    expect(() => requireSupported('canary', 'lab')).toThrow(expect.objectContaining({ code: 'DOKPLOY_VERSION_UNKNOWN' }));
    expect(requireSupported('v0.29.5', 'lab').text).toBe('v0.29.5');
  });
});
