/** `capstan serve --http`: from flags to an HTTP server that carries work out itself (design §5, engine.md L1). */
import type { App } from '../app.ts';
import { AppError } from '../errors.ts';
import type { Limits } from '../mcp/connection.ts';
import type { AccessClaims } from '../mcp/http/authentication.ts';
import type { ResourceServer } from '../mcp/http/oauth.ts';
import type { HttpServing } from '../mcp/serve-http.ts';
import type { ServerDeps } from '../mcp/server.ts';
import { usage } from './arguments.ts';
import { metricsText } from './metrics.ts';
import { whole } from './whole.ts';

export type HttpFlags = {
  host?: string | undefined;
  port?: string | undefined;
  url?: string | undefined;
  issuer?: string | undefined;
  allowHosts: readonly string[];
};

export const defaultPort = 8484;
const loopbackNames = ['localhost', '127.0.0.1', '[::1]'];

export type HttpPlan = {
  host: string;
  port: number;
  hosts: string[];
  /** Others than this machine may come: nobody is let in without a token. */
  exposed: boolean;
  oauth?: ResourceServer;
};

/** What the flags ask for. Pure; throws USAGE. */
export function planHttp({ host = '127.0.0.1', port, url, issuer, allowHosts }: HttpFlags): HttpPlan {
  const at = 'capstan serve';
  const own = url === undefined ? undefined : publicUrl(url);
  if (issuer !== undefined && own === undefined) throw usage(at, '--issuer needs --url: tokens are made for a public address.');
  const bad = allowHosts.find((name) => !/^(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])$/i.test(name));
  if (bad !== undefined)
    throw usage(at, `--allow-host takes a host name without scheme and port, not ${JSON.stringify(bad.slice(0, 60))}.`);
  const isLoopback = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/.test(host);
  const named = [...allowHosts, ...(own ? [own.hostname] : [])];
  if (/^(?:0\.0\.0\.0|::)$/.test(host) && named.length === 0)
    throw usage(at, `With --host ${host} say by which name it is called: --allow-host NAME, or --url URL.`);
  const literal = host.includes(':') ? `[${host}]` : host;
  return {
    host,
    port: port === undefined ? defaultPort : port === '0' ? 0 : whole(at, 'port', port, 65_535),
    hosts: [...new Set([...loopbackNames, literal, ...named])],
    exposed: !isLoopback || named.length > 0,
    ...(issuer !== undefined && own ? { oauth: { resource: own.href.replace(/\/$/, ''), issuer } } : {}),
  };
}

function publicUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url?.protocol === 'http:' && loopbackNames.includes(url.hostname);
  if (!url || !(url.protocol === 'https:' || plain) || url.username !== '' || url.search !== '' || url.hash !== '')
    throw usage('capstan serve', '--url is the public https address of MCP, such as https://capstan.example.com/mcp.');
  return url;
}

/** Opens the home and the port. Throws TOKEN_NEEDED before the port is open, ISSUER_UNUSABLE and PORT_UNUSABLE. */
export async function startHttp(
  plan: HttpPlan,
  open: () => Promise<App>,
  deps: Omit<ServerDeps, 'app'>,
  limits: Limits,
): Promise<HttpServing> {
  const [{ serveOverHttp }, { createAuthentication }] = await Promise.all([
    import('../mcp/serve-http.ts'),
    import('../mcp/http/authentication.ts'),
  ]);
  const app = await open();
  if (plan.exposed && !plan.oauth && !(await app.tokens.any()))
    throw new AppError('TOKEN_NEEDED', {
      message: `Others could reach ${plan.host}, and there is no token that they would need.`,
      fix: 'Make one first: capstan token add NAME --role operator. Or give --issuer and --url, or stay on a loopback address.',
    });
  const verifyAccess = plan.oauth && (await accessVerifier(plan.oauth));
  const authentication = createAuthentication({
    find: app.tokens.find,
    anyToken: app.tokens.any,
    ...(verifyAccess ? { verifyAccess } : {}),
    exposed: plan.exposed,
    limits,
    now: Date.now,
  });
  const rest = { authentication, hosts: plan.hosts, ...(plan.oauth ? { oauth: plan.oauth } : {}) };
  const metrics = async () => metricsText(await app.operations.status());
  const ready = async () => void (await app.targets());
  return serveOverHttp({ ...deps, ...rest, app: open, ready, metrics }, plan);
}

async function accessVerifier(oauth: ResourceServer): Promise<(token: string) => Promise<AccessClaims | undefined>> {
  const { createAccessVerifier } = await import('../mcp/http/oauth.ts');
  return createAccessVerifier(oauth);
}
