/** What the running instance itself says; each finding names the side that is wrong. */
import { docs, type Finding } from '../findings.ts';
import type { Look, Rule } from '../look.ts';

export const liveRules: readonly Rule[] = [probes, certificate, containers, unknown];

type Side = 'gateway' | 'upstream' | 'signature' | 'dns' | 'tls' | 'none';

const sides: Record<Side, Pick<Finding, 'code' | 'severity' | 'expected' | 'fix'>> = {
  gateway: {
    code: 'LIVE_GATEWAY',
    severity: 'critical',
    expected: 'The gateway takes the keys of the environment',
    fix: 'Deploy the service again, so that the gateway is started with the keys of the environment; a restart is not enough.',
  },
  signature: {
    code: 'LIVE_SIGNATURE',
    severity: 'critical',
    expected: 'The services behind take the signature of the keys',
    fix: 'Make both keys anew with the JWT_SECRET that stands, set them, and deploy the service again.',
  },
  upstream: {
    code: 'LIVE_UPSTREAM',
    severity: 'error',
    expected: 'The service behind the gateway answers',
    fix: 'Look at the containers and logs of that service, then deploy again.',
  },
  dns: {
    code: 'LIVE_DNS',
    severity: 'error',
    expected: 'The name resolves to the machine that serves it',
    fix: 'Make a DNS record for the host that points to the machine, and wait until it is known.',
  },
  tls: {
    code: 'LIVE_TLS',
    severity: 'error',
    expected: 'A trusted certificate',
    fix: 'Check the certificate of the domain in Dokploy and that ports 80 and 443 are reachable, then deploy again.',
  },
  none: { code: 'LIVE_CHECK', severity: 'error', expected: 'The check passes', fix: 'Look at the logs of the service.' },
};

function probes({ facts }: Look): Finding[] {
  return (facts.live ?? [])
    .filter(({ ok }) => !ok)
    .map(({ name, side, say }) => ({ ...sides[side], at: `live check ${name}`, say, current: `side: ${side}`, docs: docs.keys }));
}

function certificate({ facts }: Look): Finding[] {
  const found = facts.certificate;
  if (found === null) return [];
  const base = { at: `certificate of ${found.host}`, docs: docs.domains };
  const renew =
    'Check that the host resolves to this machine and that port 80 is reachable, then deploy again to have the certificate issued.';
  if (found.state !== 'valid') {
    const code = found.state === 'unreachable' ? 'CERTIFICATE_UNREACHABLE' : 'CERTIFICATE_UNTRUSTED';
    return [{ ...base, code, severity: 'error', say: found.say, current: found.state, expected: 'A trusted certificate', fix: renew }];
  }
  if (found.daysLeft > 30) return [];
  const severity = found.daysLeft <= 7 ? 'error' : 'warning';
  const say = `The certificate ends within ${severity === 'error' ? 7 : 30} days and should have been renewed by itself.`;
  const current = `until ${found.expiresAt.slice(0, 10)}`;
  return [{ ...base, code: 'CERTIFICATE_ENDS_SOON', severity, say, current, expected: 'More than 30 days', fix: renew }];
}

function containers({ facts }: Look): Finding[] {
  if (facts.containers?.state !== 'known') return [];
  return facts.containers.waiting.map(({ service, state }) => ({
    code: 'CONTAINER_NOT_READY',
    severity: 'error',
    at: `service ${service.replace(/[^\w.-]/g, '?').slice(0, 63)}`,
    say: 'The container of this service is not ready.',
    current: state.slice(0, 80),
    expected: 'running and healthy',
    fix: 'Read its log in Dokploy; after a first deployment it may need some minutes.',
    docs: docs.compose,
  }));
}

/** Unknown is said as unknown, never as healthy. */
function unknown({ facts }: Look): Finding[] {
  const notes = [...facts.unknown, ...(facts.containers?.state === 'unknown' ? [facts.containers.say] : [])];
  return notes.map((say) => ({
    code: 'UNKNOWN',
    severity: 'warning',
    at: 'live checks',
    say,
    current: 'unknown',
    expected: 'An answer',
    fix: 'Run the doctor again once the cause is gone; what is unknown here is not proven healthy.',
    docs: docs.compose,
  }));
}
