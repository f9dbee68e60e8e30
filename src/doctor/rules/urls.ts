/** Addresses: https where it must be, localhost where it may be, one host, one scheme, the suffix of the generation. */
import { docs, type Finding, type Severity } from '../findings.ts';
import { atVariable, isGateway, isLocalHost, type Look, type Rule, readUrl, setVariable, showUrl, thenDeploy } from '../look.ts';

export const urlRules: readonly Rule[] = [unreadable, notHttps, local, suffix, differentHosts, mixedSchemes, routeScheme, notRouted];

const own = ['SUPABASE_PUBLIC_URL', 'API_EXTERNAL_URL'];
/** An application of the developer may stand on localhost. */
const mayBeLocal = ['SITE_URL', 'ADDITIONAL_REDIRECT_URLS'];

type Element = { name: string; text: string; url: URL | undefined };

/** Every address, comma lists cut into their elements; a scheme of an app (`myapp://`) is none of ours. */
function elements({ env }: Look): Element[] {
  return [...own, ...mayBeLocal].flatMap((name) =>
    (env.get(name) ?? '')
      .split(',')
      .map((text) => text.trim())
      .filter((text) => text !== '')
      .map((text) => ({ name, text, url: readUrl(text.replaceAll('*', 'x')) })),
  );
}

function said(look: Look, { name, text }: Element, code: string, severity: Severity, say: string, expected: string, fix: string): Finding {
  return atVariable(look, name, { code, severity, say, expected, fix, docs: docs.urls }, showUrl(text));
}

function unreadable(look: Look): Finding[] {
  return elements(look)
    .filter(({ name, text, url }) => !url && (own.includes(name) || !/^[a-z][a-z0-9+.-]*:/i.test(text) || /^https?:/i.test(text)))
    .filter(({ name, text }) => own.includes(name) || !text.startsWith('**'))
    .map((element) =>
      said(
        look,
        element,
        'URL_UNREADABLE',
        'error',
        `${element.name} holds no readable address.`,
        'https://HOST',
        `Write ${element.name} as https://HOST ${thenDeploy}.`,
      ),
    );
}

function notHttps(look: Look): Finding[] {
  return elements(look).flatMap((element) => {
    const { name, url } = element;
    if (url?.protocol !== 'http:' || isLocalHost(url.hostname)) return [];
    const wanted = element.text.includes('//*') ? 'https' : `https://${url.host}`;
    const list = name === 'ADDITIONAL_REDIRECT_URLS';
    const say = `${name} ${list ? 'holds an address with' : 'is an address with'} http: sessions and tokens travel in clear, and sign-in by other providers fails.`;
    const fix = list || url.pathname !== '/' ? `Write https instead of http in ${name} ${thenDeploy}.` : setVariable(name, wanted);
    return [said(look, element, 'URL_NOT_HTTPS', 'error', say, wanted, fix)];
  });
}

function local(look: Look): Finding[] {
  return elements(look).flatMap((element) => {
    const { name, url } = element;
    if (!url || !isLocalHost(url.hostname) || name === 'ADDITIONAL_REDIRECT_URLS') return [];
    if (name === 'SITE_URL') {
      const say = 'Links in mails lead to localhost until SITE_URL is the address of your application.';
      return [
        said(
          look,
          element,
          'SITE_URL_LOCAL',
          'warning',
          say,
          'https://YOUR-APPLICATION',
          `Set SITE_URL to the address of your application ${thenDeploy}.`,
        ),
      ];
    }
    // Where no public host is known, the instance may be meant for this machine.
    const severity = look.facts.domains?.some((domain) => !isLocalHost(domain.host)) ? 'error' : 'warning';
    const host = look.publicHost ?? 'HOST';
    const say = `${name} leads to localhost: nobody else reaches what is made from it.`;
    return [said(look, element, 'URL_LOCAL', severity, say, `https://${host}`, setVariable(name, `https://${host}`))];
  });
}

/** Since v0.7 of Supabase's compose API_EXTERNAL_URL includes /auth/v1; in Dokploy's template it does not. */
function suffix(look: Look): Finding[] {
  const element = elements(look).find(({ name }) => name === 'API_EXTERNAL_URL');
  if (!element?.url) return [];
  const has = element.url.pathname.replace(/\/+$/, '') === '/auth/v1';
  const wanted = wantsSuffix(look);
  if (wanted === undefined || wanted === has) return [];
  const expected = wanted ? `${element.url.origin}/auth/v1` : element.url.origin;
  const say = wanted
    ? 'API_EXTERNAL_URL lacks /auth/v1, which this generation of Supabase expects: links in mails lead nowhere.'
    : 'API_EXTERNAL_URL ends in /auth/v1, which this template adds itself: links in mails carry it twice.';
  return [said(look, element, 'API_EXTERNAL_URL_SUFFIX', 'error', say, expected, setVariable('API_EXTERNAL_URL', expected))];
}

function wantsSuffix({ generation, compose }: Look): boolean | undefined {
  if (generation.id === 'A' || generation.id === 'B' || generation.id === 'C') return false;
  // Envoy came with v0.8, after the suffix; what Kong's compose expects depends on its version.
  return compose?.services.some(({ name }) => name === 'api-gw') ? true : undefined;
}

function differentHosts(look: Look): Finding[] {
  const [first, second] = own.map((name) => elements(look).find((element) => element.name === name));
  if (!first?.url || !second?.url || first.url.host === second.url.host) return [];
  const say = 'SUPABASE_PUBLIC_URL and API_EXTERNAL_URL name different hosts; both are the gateway’s.';
  const fix = `Write the same host into SUPABASE_PUBLIC_URL and API_EXTERNAL_URL ${thenDeploy}.`;
  return [said(look, second, 'URL_HOSTS_DIFFER', 'error', say, first.url.host, fix)];
}

function mixedSchemes(look: Look): Finding[] {
  const remote = elements(look).filter(({ url }) => url && !isLocalHost(url.hostname));
  const schemes = new Set(remote.map(({ url }) => url?.protocol));
  if (schemes.size < 2) return [];
  const plain = [...new Set(remote.filter(({ url }) => url?.protocol === 'http:').map(({ name }) => name))];
  return [
    {
      code: 'URL_SCHEMES_MIXED',
      severity: 'warning',
      at: plain.join(', '),
      say: `Some addresses are https and some http: ${plain.join(', ')}. Browsers block the mixture.`,
      current: 'http beside https',
      expected: 'https in all of them',
      fix: `Write https in ${plain.join(', ')} ${thenDeploy}.`,
      docs: docs.urls,
    },
  ];
}

/** The environment says https, the route does not serve it (or the other way round). */
function routeScheme(look: Look): Finding[] {
  return own.flatMap((name) => {
    const element = elements(look).find((each) => each.name === name);
    const route = look.facts.domains?.find((domain) => domain.host === element?.url?.hostname && isGateway(domain.serviceName));
    if (!element?.url || !route || (element.url.protocol === 'https:') === route.https) return [];
    const say = route.https
      ? `${name} says http, but the route of its host serves https.`
      : `${name} says https, but the route of its host serves http only: every link made from it is dead.`;
    const fix = route.https
      ? setVariable(name, `https://${element.url.host}`)
      : 'Switch https on for this domain in Dokploy, with the certificate letsencrypt, then deploy the service again.';
    return [said(look, element, 'URL_ROUTE_SCHEME', 'error', say, route.https ? 'https' : 'a route with https', fix)];
  });
}

function notRouted(look: Look): Finding[] {
  const { domains } = look.facts;
  if (!domains || domains.length === 0) return [];
  return elements(look)
    .filter(({ name, url }) => name === 'SUPABASE_PUBLIC_URL' && url && !isLocalHost(url.hostname))
    .filter(({ url }) => !domains.some((domain) => domain.host === url?.hostname))
    .map((element) => {
      const host = element.url?.hostname ?? 'HOST';
      const fix = `Add the domain ${host} to the service kong, port 8000, in Dokploy and deploy again, or write the routed host into ${element.name}.`;
      return said(
        look,
        element,
        'URL_NOT_ROUTED',
        'error',
        `No domain of this service has the host of ${element.name}.`,
        `A domain for ${host}`,
        fix,
      );
    });
}
