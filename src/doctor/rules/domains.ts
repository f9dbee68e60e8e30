/** Routes of the service: right service and port, https with a certificate, each host once. */
import type { DomainFacts } from '../facts.ts';
import { docs, type Finding, type Severity } from '../findings.ts';
import { isGateway, isLocalHost, type Look, type Rule } from '../look.ts';

export const domainRules: readonly Rule[] = [missing, services, ports, plain, withoutCertificate, duplicates];

function said(domain: DomainFacts, code: string, severity: Severity, say: string, current: string, expected: string, fix: string): Finding {
  return { code, severity, at: `domain ${shownHost(domain)}`, say, current, expected, fix, docs: docs.domains };
}

/** A host name, and nothing else that somebody wrote there. */
function shownHost({ host }: DomainFacts): string {
  return /^[A-Za-z0-9.-]{1,253}$/.test(host) ? host : '(unreadable host)';
}

const editThenDeploy = 'in Dokploy under Domains, then deploy the service again';
const rowsOf = ({ facts }: Look) => facts.domains ?? [];

function missing({ facts, publicHost }: Look): Finding[] {
  if (facts.domains === null || facts.domains.length > 0) return [];
  return [
    {
      code: 'DOMAIN_MISSING',
      severity: 'error',
      at: 'domains',
      say: 'The service has no domain, so nothing outside reaches it.',
      current: '(none)',
      expected: 'A domain to the service kong, port 8000',
      fix: `Add the domain ${publicHost ?? 'HOST'} to the service kong, port 8000, ${editThenDeploy}.`,
      docs: docs.domains,
    },
  ];
}

function services({ facts, compose }: Look): Finding[] {
  const known = compose?.services.map(({ name }) => name);
  return (facts.domains ?? []).flatMap((domain) => {
    const { serviceName } = domain;
    if (isGateway(serviceName) && (known === undefined || known.includes(serviceName ?? ''))) return [];
    const fix = `Point ${shownHost(domain)} to the service kong, port 8000, ${editThenDeploy}.`;
    const current = serviceName === null ? '(none)' : `service ${/^[\w.-]{1,63}$/.test(serviceName) ? serviceName : '(unreadable)'}`;
    if (known && serviceName !== null && !known.includes(serviceName))
      return [
        said(
          domain,
          'DOMAIN_SERVICE_UNKNOWN',
          'error',
          'A domain leads to a service that the compose file does not have.',
          current,
          'service kong',
          fix,
        ),
      ];
    return [
      said(
        domain,
        'DOMAIN_SERVICE',
        'error',
        'A domain leads past the gateway: the addresses of the API do not work there, and no key is asked for.',
        current,
        'service kong',
        fix,
      ),
    ];
  });
}

function ports(look: Look): Finding[] {
  return rowsOf(look)
    .filter(({ serviceName, port }) => isGateway(serviceName) && port !== 8000)
    .map((domain) =>
      said(
        domain,
        'DOMAIN_PORT',
        'error',
        'A domain leads to a port on which the gateway does not listen.',
        `port ${domain.port ?? '(none)'}`,
        'port 8000',
        `Set the port of ${shownHost(domain)} to 8000 ${editThenDeploy}.`,
      ),
    );
}

function plain(look: Look): Finding[] {
  return rowsOf(look)
    .filter(({ https, host }) => !https && !isLocalHost(host))
    .map((domain) =>
      said(
        domain,
        'DOMAIN_HTTP',
        'error',
        'A domain is served without encryption: keys and sessions can be read on the way.',
        'http',
        'https with the certificate letsencrypt',
        `Switch https on for ${shownHost(domain)} with the certificate letsencrypt ${editThenDeploy}.`,
      ),
    );
}

function withoutCertificate(look: Look): Finding[] {
  return rowsOf(look)
    .filter(({ https, certificateType }) => https && certificateType === 'none')
    .map((domain) =>
      said(
        domain,
        'DOMAIN_WITHOUT_CERTIFICATE',
        'error',
        'A domain has https but no certificate is asked for, so browsers refuse it.',
        'certificate none',
        'certificate letsencrypt',
        `Choose the certificate letsencrypt for ${shownHost(domain)} ${editThenDeploy}.`,
      ),
    );
}

function duplicates(look: Look): Finding[] {
  const seen = new Set<string>();
  return rowsOf(look).flatMap((domain) => {
    const place = `${domain.host.toLowerCase()} ${domain.path ?? '/'}`;
    const again = seen.has(place);
    seen.add(place);
    if (!again) return [];
    return [
      said(
        domain,
        'DOMAIN_DUPLICATE',
        'error',
        'The same host and path are routed twice: the proxy takes either.',
        'two domains',
        'one domain',
        `Remove one of the domains ${shownHost(domain)} ${editThenDeploy}.`,
      ),
    ];
  });
}
