/** Which services of a Dokploy are Supabase instances: every project, environment and compose service is looked at, by reads only. */
import { envVariables, parseEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import { readComposeView } from '../doctor/compose-view.ts';
import type { DokployClient } from './client.ts';
import type { ComposeOne, ProjectRow } from './schemas.ts';

export type FoundService = { project: string; environment: string; row: ComposeOne };
export type Scan = {
  found: FoundService[];
  /** Compose services that were looked at. */
  looked: number;
  /** What could not be looked at, one sentence each. */
  unknown: string[];
};

/** Throws the client's errors for the list of projects, and ABORTED; a service that cannot be read is said in `unknown`. */
export async function findSupabases(client: DokployClient): Promise<Scan> {
  const scan: Scan = { found: [], looked: 0, unknown: [] };
  for (const { project, environment, composeId } of placesOf(await client.projects())) {
    scan.looked += 1;
    try {
      const row = await client.composeOne(composeId);
      if (isSupabase(row)) scan.found.push({ project, environment, row });
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
      scan.unknown.push(error.message);
    }
  }
  return scan;
}

function placesOf(projects: readonly ProjectRow[]) {
  return projects.flatMap(({ name: project, environments }) =>
    environments.flatMap(({ name: environment, compose }) => (compose ?? []).map(({ composeId }) => ({ project, environment, composeId }))),
  );
}

/** Told by what it runs and what it is told, never by its name: auth and rest behind a database, or the three variables of every generation. Pure. */
export function isSupabase({ composeFile, env }: Pick<ComposeOne, 'composeFile' | 'env'>): boolean {
  const view = readComposeView(composeFile);
  const services = view === 'unreadable' ? [] : view.services;
  const runs = (image: RegExp) => services.some((service) => image.test(service.image ?? ''));
  if (runs(/(^|\/)(supabase\/)?gotrue[:@]/) && runs(/(^|\/)postgrest[:@]/)) return true;
  const variables = envVariables(parseEnv(env ?? ''));
  return ['JWT_SECRET', 'ANON_KEY', 'SERVICE_ROLE_KEY'].every((name) => variables.has(name)) && services.some(({ name }) => name === 'db');
}
