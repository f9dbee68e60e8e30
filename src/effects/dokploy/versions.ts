/** Which Dokploy version can do what: the table of first tags that have a thing. Pure. */
import { AppError } from '../../errors.ts';

export type Version = { text: string; major: number; minor: number; patch: number };

/** Below it there are no logs over HTTP and no template preview, so the wizard cannot work. */
export const DOKPLOY_FLOOR = '0.29.5';

const FIRST_TAG = {
  /** project.create answers {project, environment}; services hang off environments. */
  environments: '0.25.0',
  /** A deployment may end as `cancelled`. */
  cancelledStatus: '0.25.4',
  deployAnswersObject: '0.25.7',
  webServerSettings: '0.27.0',
  queueList: '0.28.3',
  saveEnvironment: '0.29.0',
  composeLogs: '0.29.0',
  infrastructureHealth: '0.29.0',
  deploymentLogs: '0.29.5',
  previewTemplate: '0.29.5',
  /** Environments lie encrypted in Dokploy's own database. */
  environmentEncrypted: '0.29.12',
  /** schedule.runManually answers {status, deploymentId}. */
  scheduleResult: '0.29.14',
  /** compose.create takes sourceType; before, it is github until updated. */
  createSourceType: '0.30.0',
  /** `$` and `#` in values reach the containers literally. */
  environmentEscaped: '0.30.0',
  toggleDomain: '0.30.0',
  serverHealth: '0.30.0',
} as const;

export type Capability = keyof typeof FIRST_TAG;
export type Capabilities = Record<Capability, boolean>;

/** Reads `v0.30.2`, `0.30.2` or `v0.30.2-canary`; null when it is none. */
export function parseVersion(text: string): Version | null {
  const match = /^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[-+][\w.-]{1,40})?$/.exec(text.trim());
  if (!match) return null;
  return { text: text.trim(), major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

/** True when `version` is `floor` or newer; a suffix such as -canary does not count. */
export function isAtLeast(version: Version, floor: string): boolean {
  const least = parseVersion(floor);
  if (!least) throw new TypeError(`${floor} is no version`);
  const difference = version.major - least.major || version.minor - least.minor || version.patch - least.patch;
  return difference >= 0;
}

/** Every capability flag of a version. */
export function capabilitiesOf(version: Version): Capabilities {
  const flags = Object.entries(FIRST_TAG).map(([name, tag]) => [name, isAtLeast(version, tag)]);
  // Object.fromEntries forgets the keys, which are exactly those of FIRST_TAG.
  return Object.fromEntries(flags) as Capabilities;
}

/** Throws DOKPLOY_VERSION_UNKNOWN for text that is no version and DOKPLOY_TOO_OLD below the floor. */
export function requireSupported(text: string, name: string): Version {
  const version = parseVersion(text);
  if (!version) {
    throw new AppError('DOKPLOY_VERSION_UNKNOWN', {
      message: `The Dokploy "${name}" does not say which version it is.`,
      fix: `Install a released Dokploy, ${DOKPLOY_FLOOR} or newer.`,
    });
  }
  if (isAtLeast(version, DOKPLOY_FLOOR)) return version;
  throw new AppError('DOKPLOY_TOO_OLD', {
    message: `The Dokploy "${name}" is ${version.text}, and at least ${DOKPLOY_FLOOR} is needed.`,
    fix: 'Update it in Dokploy under Web Server, Updates, and try again.',
    details: { version: version.text, floor: DOKPLOY_FLOOR },
  });
}
