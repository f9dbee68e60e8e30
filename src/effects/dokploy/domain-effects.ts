/** Routing the domain to the gateway. Labels change at the next deployment only, so this is one row in Dokploy (E9 by its fields). */
import * as contract from '../../../machines/effects/dokploy.ts';
import { defineHandler, type Probe } from '../handler.ts';
import { type PlanDocument, readPlan } from '../supabase/plan-document.ts';
import type { DomainRow } from './schemas.ts';
import { changedBySomebodyElse, type DokployDeps, openDokploy, orMissing } from './session.ts';

export type Route = {
  domainId: string;
  host: string;
  https: boolean;
  certificateType: string;
  port: number | null;
  path: string;
  serviceName: string | null;
};
type RouteImage = { routes: Route[] };
type Output = { domainId: string; host: string; https: boolean };
type Wanted = PlanDocument['domain'];

export type RouteState = { state: 'absent'; change: Route | undefined } | { state: 'applied'; route: Route } | { state: 'foreign' };

/** Pure: `change` is the row to update, undefined when one is to be created. All other rows must be as before. */
export function judgeRoutes(found: readonly Route[], before: readonly Route[], wanted: Wanted): RouteState {
  const change = before.find((route) => route.serviceName === wanted.serviceName) ?? before[0];
  const others = before.filter((route) => route !== change);
  const keptOthers = others.every((route) => found.some((each) => each.domainId === route.domainId && fieldsOf(each) === fieldsOf(route)));
  if (!keptOthers) return { state: 'foreign' };
  const rest = found.filter((route) => !others.some((other) => other.domainId === route.domainId));
  if (rest.length === 0 && change === undefined) return { state: 'absent', change };
  const only = rest[0];
  if (rest.length !== 1 || only === undefined) return { state: 'foreign' };
  if (change !== undefined && only.domainId !== change.domainId) return { state: 'foreign' };
  if (fieldsOf(only) === fieldsOf(wanted)) return { state: 'applied', route: only };
  return change !== undefined && fieldsOf(only) === fieldsOf(change) ? { state: 'absent', change } : { state: 'foreign' };
}

export function toRoute(row: DomainRow): Route {
  const { domainId, host, https, certificateType, port, path, serviceName } = row;
  return { domainId, host, https, certificateType, port, path: path ?? '/', serviceName };
}

function fieldsOf({ host, https, certificateType, port, path, serviceName }: Omit<Route, 'domainId'>): string {
  return JSON.stringify([host, https, certificateType, port, path, serviceName]);
}

export function configureDomain(deps: DokployDeps) {
  const look = async (client: { domains(composeId: string): Promise<DomainRow[]> }, composeId: string) =>
    (await client.domains(composeId)).map(toRoute);
  return defineHandler(contract.configureDomain, {
    async prepare(ctx, input): Promise<RouteImage> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      return { routes: await look(client, input.composeId) };
    },
    async run(ctx, input, before) {
      const { domain } = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const found = await look(client, input.composeId);
      const state = judgeRoutes(found, before.routes, domain);
      if (state.state === 'foreign') throw edited(input.name, before.routes, found, domain);
      if (state.state === 'applied') return toOutput(state.route);
      const kept = state.change
        ? await client.updateDomain({ domainId: state.change.domainId, ...domain })
        : await client.createDomain({ composeId: input.composeId, ...domain });
      return toOutput(toRoute(kept));
    },
    async probe(ctx, input, before): Promise<Probe<Output>> {
      const { domain } = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      if (!(await orMissing(client.composeOne(input.composeId)))) return { state: 'absent' };
      const state = judgeRoutes(await look(client, input.composeId), before?.routes ?? [], domain);
      if (state.state === 'applied') return { state: 'applied', output: toOutput(state.route) };
      if (state.state === 'absent') return { state: 'absent' };
      // Judged again, and refused with the rows, by the run or undo that follows.
      return { state: 'partial', say: 'the domains are neither the earlier nor the planned ones.' };
    },
    async undo(ctx, input, before) {
      const { domain } = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      if (!(await orMissing(client.composeOne(input.composeId)))) return;
      const found = await look(client, input.composeId);
      const state = judgeRoutes(found, before.routes, domain);
      if (state.state === 'foreign') throw edited(input.name, before.routes, found, domain);
      if (state.state === 'absent') return;
      const was = before.routes.find((route) => route.domainId === state.route.domainId);
      if (!was) return client.deleteDomain(state.route.domainId);
      const { port, serviceName, certificateType, ...rest } = was;
      await client.updateDomain({
        ...rest,
        ...(certificateType === 'letsencrypt' || certificateType === 'none' || certificateType === 'custom' ? { certificateType } : {}),
        ...(port === null ? {} : { port }),
        ...(serviceName === null ? {} : { serviceName }),
      });
    },
  });
}

function toOutput({ domainId, host, https }: Route): Output {
  return { domainId, host, https };
}

function edited(name: string, before: readonly Route[], found: readonly Route[], ours: Wanted) {
  return changedBySomebodyElse(`The domains of "${name}"`, { before, found: found.slice(0, 20), ours });
}
