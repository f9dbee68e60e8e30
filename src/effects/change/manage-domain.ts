/** Planning a change of domains: DNS first, then routes and addresses; the plan holds the whole new text and rows. */
import * as contract from '../../../machines/effects/manage-domain.ts';
import { envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import { requireHostUsable } from '../dns/effects.ts';
import { addressOf } from '../doctor/live.ts';
import { type DokployDeps, openDokploy } from '../dokploy/session.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { readComposeFacts } from '../supabase/compose-facts.ts';
import { type ChangeDocument, type PlannedRoute, readChange } from './document.ts';
import { decideDomain, followingAddresses } from './domain-decision.ts';
import { planChange } from './plan.ts';
import { readSnapshot } from './snapshot.ts';

export function planDomain(deps: DokployDeps) {
  return defineHandler(contract.planDomain, {
    async run(ctx, input) {
      const snapshot = await readSnapshot(ctx, input.snapshot);
      const { request } = input;
      const env = envVariables(parseEnv(snapshot.env));
      const publicHost = addressOf({ env, domains: snapshot.routes })?.hostname ?? null;
      const { routes, fresh, follows } = decideDomain(snapshot.routes, gatewayOf(snapshot.compose), request, publicHost);
      const warnings = fresh
        ? await checkRoute(deps, ctx, { ...input, serverId: snapshot.serverId }, fresh, request.acceptUnresolved === true)
        : [];
      const values = follows ? followingAddresses(env, follows) : new Map<string, string>();
      const text = printEnv([...values].reduce((written, [name, value]) => setEnv(written, name, value), parseEnv(snapshot.env)));
      const url = values.get('SUPABASE_PUBLIC_URL');
      const plan = await planChange(ctx, snapshot, {
        workflow: 'manage-domain',
        env: text,
        routes,
        note: { url: url ?? null },
        why: Object.fromEntries([...values.keys()].map((name) => [name, 'follows the domain'])),
        say: sayDomain(request, values.size),
        warnings: [
          ...warnings,
          ...(values.size > 0 && fresh?.https === false
            ? [{ code: 'URLS_OVER_HTTP', say: 'The addresses will say http: keys and sessions can be read on the way.' }]
            : []),
        ],
      });
      return { ...plan, certificateHost: fresh && isNewlyServed(snapshot.routes, fresh) ? fresh.host : null };
    },
  });
}

export function recheckDomain(deps: DokployDeps) {
  return defineHandler(contract.recheckDomain, {
    async run(ctx, input) {
      const document = await readChange(ctx, input);
      const fresh = freshRoutes(document);
      for (const route of fresh)
        await checkRoute(deps, ctx, { ...input, serverId: document.serverId }, route, input.request.acceptUnresolved === true);
      return { say: fresh.length === 0 ? 'No host is new.' : `${fresh.map(({ host }) => host).join(', ')} may be used.` };
    },
  });
}

function freshRoutes({ routes }: ChangeDocument): PlannedRoute[] {
  return (routes?.after ?? []).filter((route) => isNewlyServed(routes?.before ?? [], route));
}

type Place = { dokploy: string; composeId: string; serverId: string | null };

/** Throws what the check of the wizard throws: no certificate can be had, the host is taken, the name leads elsewhere. */
async function checkRoute(
  deps: DokployDeps,
  ctx: EffectContext,
  { dokploy, composeId, serverId }: Place,
  route: PlannedRoute,
  acceptUnresolved: boolean,
) {
  const client = await openDokploy(deps, ctx, dokploy);
  const settings = await client.webServerSettings();
  const serverIp =
    serverId === null ? settings.serverIp : ((await client.servers()).find((each) => each.serverId === serverId)?.ipAddress ?? null);
  const certificate = route.certificateType === 'letsencrypt' || route.certificateType === 'none' ? route.certificateType : 'custom';
  const { warnings } = await requireHostUsable(deps, ctx, {
    dokploy,
    host: route.host,
    certificate,
    acceptUnresolved,
    serverIp,
    letsEncryptEmail: settings.letsEncryptEmail,
    except: composeId,
  });
  return warnings;
}

/** A certificate must be had that was not served before. */
function isNewlyServed(before: readonly PlannedRoute[], route: PlannedRoute): boolean {
  return route.https && !before.some((each) => each.host === route.host && each.https && each.certificateType === route.certificateType);
}

function gatewayOf(compose: string): string {
  const names = readComposeFacts(compose).services.map(({ name }) => name);
  return ['kong', 'api-gw', 'envoy'].find((name) => names.includes(name)) ?? 'kong';
}

function sayDomain({ action, host, newHost }: contract.DomainRequest, addresses: number): string {
  const follow = addresses === 0 ? 'no address in the environment changes' : `${addresses} variables with addresses follow`;
  const what =
    action === 'add'
      ? `${host} is added`
      : action === 'remove'
        ? `${host} is removed`
        : newHost
          ? `${host} becomes ${newHost}`
          : `${host} is changed`;
  return `${what}; ${follow}.`;
}
