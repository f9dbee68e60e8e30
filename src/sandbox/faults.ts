import { AppError } from '../errors.ts';

/** Every fault that can be armed, with one line on what it does. */
export const faultNames = {
  'slow-deploy': 'a deployment takes about 8 seconds longer',
  'stuck-deploy': 'a deployment begins and never ends; a restart of the sandbox cancels it',
  'drop-job': 'a deployment is accepted with 200 and never appears anywhere',
  '500-before': 'the call fails with 500 and nothing was changed',
  '500-after': 'the call is carried out and then fails with 500',
  'hang-after': 'the call is carried out and the connection stays open without an answer',
  'half-write': 'compose.import deletes mounts and domains, writes the compose file, then fails with 500',
  '429': 'a proxy before Dokploy answers 429 with Retry-After',
  'expired-key': 'every call is answered by the bare 401',
  'rate-limited-key': 'the key works five times, then every call is answered by the bare 401',
  'old-version': 'the server is v0.24.0: newer procedures do not exist and answers have the older form',
  'no-docker': 'docker is down: container lists are empty with 200',
  'unhealthy-db': 'a deployment ends in error and the container db is unhealthy',
  'ill-restart': 'a container that is restarted stays unhealthy until it is restarted again',
  'slow-boot': 'a deployment ends in error although the stack becomes healthy some seconds later',
  'bad-key': 'the gateway is configured with other key literals than the environment has',
  'slow-certificate': "the default certificate is served for 5 seconds after a deployment, then Let's Encrypt's",
  'no-certificate': "Let's Encrypt never answers: the default certificate stays",
  'template-unreachable': 'the template server closes connections without an answer',
  'asks-password': 'psql inside the database container is asked for a password, which nobody has given it',
  'keep-on-delete': 'compose.delete and project.remove answer 200 and keep everything',
} as const satisfies Record<string, string>;

export type FaultName = keyof typeof faultNames;

type Armed = { name: FaultName; left: number | null; procedure?: string; uses: number };

export type Faults = {
  /** Replaces what is armed. Throws SANDBOX_FAULT_UNKNOWN and changes nothing when one is not known. */
  set(specs: readonly string[]): void;
  /** What is armed, in the form it was given, with the count that is left. */
  list(): string[];
  /** True if the fault applies here; uses up one of its count. */
  take(name: FaultName, procedure?: string): boolean;
  /** True if the fault is armed, without using it up. */
  active(name: FaultName): boolean;
  /** How often `take` was true since it was armed. */
  uses(name: FaultName): number;
};

function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(faultNames, name);
}

/** Parses `name`, `name:N`, `name@procedure` and `name:N@procedure`; throws SANDBOX_FAULT_UNKNOWN. */
function parseFault(spec: string): Armed {
  const [, name = '', count, procedure] = /^([^:@]*)(?::(\d+))?(?:@([\w.]+))?$/.exec(spec) ?? [];
  if (!isFaultName(name)) {
    throw new AppError('SANDBOX_FAULT_UNKNOWN', {
      message: `The sandbox has no fault "${spec}".`,
      fix: `Use one of ${Object.keys(faultNames).join(', ')}, with an optional count (500-after:1) and procedure (500-after:1@compose.create).`,
    });
  }
  return { name, left: count === undefined ? null : Number(count), uses: 0, ...(procedure === undefined ? {} : { procedure }) };
}

/** The faults of one sandbox; nothing is armed at first. */
export function createFaults(): Faults {
  let armed: Armed[] = [];
  const live = (fault: Armed) => fault.left === null || fault.left > 0;
  return {
    set(specs) {
      armed = specs.map(parseFault);
    },
    list() {
      return armed.filter(live).map((fault) => {
        const count = fault.left === null ? '' : `:${fault.left}`;
        return `${fault.name}${count}${fault.procedure === undefined ? '' : `@${fault.procedure}`}`;
      });
    },
    take(name, procedure) {
      const fault = armed.find((one) => one.name === name && live(one) && (one.procedure === undefined || one.procedure === procedure));
      if (fault === undefined) return false;
      fault.uses += 1;
      if (fault.left !== null) fault.left -= 1;
      return true;
    },
    active: (name) => armed.some((fault) => fault.name === name && live(fault)),
    uses: (name) => armed.filter((fault) => fault.name === name).reduce((sum, fault) => sum + fault.uses, 0),
  };
}
