/**
 * What the doctor is told. Invariants:
 * 1. `null` means "was not looked at"; `unknown` means "could not be found out"; neither is ever read as good.
 * 2. The facts hold secrets in clear; findings never do.
 */

export type ServiceFacts = {
  name: string;
  image: string | null;
  /** Published ports as written, such as `5432:5432` or `${POSTGRES_PORT}:5432`. */
  ports: readonly string[];
  containerName: string | null;
  /** Environment as written, before interpolation. */
  environment: Readonly<Record<string, string>>;
};

/** A `${NAME}` of the compose text. */
export type ReferenceFacts = { name: string /** `${NAME:-…}` or `${NAME-…}`: may be left out. */; optional: boolean };

export type ComposeFacts = { services: readonly ServiceFacts[]; references: readonly ReferenceFacts[] };

export type DomainFacts = {
  host: string;
  https: boolean;
  port: number | null;
  path: string | null;
  serviceName: string | null;
  certificateType: string;
};

export type LiveCheckFacts = {
  name: string;
  ok: boolean;
  side: 'gateway' | 'upstream' | 'signature' | 'dns' | 'tls' | 'none';
  say: string;
};

export type CertificateFacts =
  | { state: 'valid'; host: string; expiresAt: string; daysLeft: number }
  | { state: 'default' | 'self-signed' | 'wrong-name' | 'expired' | 'untrusted' | 'unreachable'; host: string; say: string };

export type ContainerFacts = { state: 'known'; waiting: readonly { service: string; state: string }[] } | { state: 'unknown'; say: string };

/** A relay that install-bridge deployed in the project of the instance. */
export type BridgeFacts = {
  /** Its name in Dokploy. */
  service: string;
  whose: 'left over' | 'in use' | 'another target' | 'foreign';
  why: string;
};

export type Facts = {
  /** The whole environment text, as stored. */
  env: string;
  compose: ComposeFacts | 'unreadable' | null;
  /** Text of the gateway's kong.yml names this host for Realtime; null when it names none or was not seen. */
  realtimeHost: string | null;
  domains: readonly DomainFacts[] | null;
  containers: ContainerFacts | null;
  certificate: CertificateFacts | null;
  live: readonly LiveCheckFacts[] | null;
  /** Services whose log says that the database refuses their password; null when no log was read. */
  passwordRefusedBy: readonly string[] | null;
  /** Variables that differ from what was handed over when the instance was set up; null when that is not known. */
  changedSince: readonly string[] | null;
  /** False when the database keeps another JWT secret than the environment; null when it was not asked. */
  jwtSecretInDatabase: boolean | null;
  /** Relays in its project; null when nobody asked. */
  bridges: readonly BridgeFacts[] | null;
  /** What could not be found out, one sentence each. */
  unknown: readonly string[];
};

/** The facts of an environment text alone. */
export function onlyEnvironment(env: string): Facts {
  return {
    env,
    compose: null,
    realtimeHost: null,
    domains: null,
    containers: null,
    certificate: null,
    live: null,
    passwordRefusedBy: null,
    changedSince: null,
    jwtSecretInDatabase: null,
    bridges: null,
    unknown: [],
  };
}
